/** schemas/inlet.schema.json for editors, docs/config.md and the YAML of `inlet init`, all from the shapes. */
import type { Setting, SettingType } from "../base/settings.ts";
import { fileShape, settingRows, shapeOf, variableOf } from "./file-shape.ts";
import { lakeShape, topicsShape } from "./lake.ts";
import { listenersShape, saslShape } from "./security.ts";
import type { JsonSchema, Shape } from "./shape.ts";

/** JSON Schema draft-07: what editors and ajv's default dialect understand. */
export function renderJsonSchema(): string {
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "inlet.yaml",
    ...jsonSchemaOf(fileShape),
    definitions: {
      reference: {
        description: "Filled in when the file is read: ${env:NAME} or ${file:/path}.",
        type: "string",
        pattern: "\\$\\{(env|file):[^}]+\\}",
      },
    },
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

function jsonSchemaOf(shape: Shape): JsonSchema {
  const description = shape.doc === "" ? {} : { description: shape.doc };
  switch (shape.kind) {
    case "leaf": {
      const isFreeText = shape.jsonSchema.type === "string" && Object.keys(shape.jsonSchema).length === 1;
      const value = isFreeText ? shape.jsonSchema : { anyOf: [shape.jsonSchema, { $ref: "#/definitions/reference" }] };
      const byDefault = shape.default === undefined || shape.isSecret ? {} : { default: shape.show(shape.default) };
      return { ...description, ...value, ...byDefault };
    }
    case "object": {
      const required = Object.entries(shape.fields).filter(([, field]) => isRequired(field));
      return {
        ...description,
        type: ["object", "null"],
        additionalProperties: false,
        properties: Object.fromEntries(Object.entries(shape.fields).map(([key, field]) => [key, jsonSchemaOf(field)])),
        ...(required.length === 0 ? {} : { required: required.map(([key]) => key) }),
      };
    }
    case "record":
      return { ...description, type: ["object", "null"], additionalProperties: jsonSchemaOf(shape.values) };
    case "list": {
      const items = jsonSchemaOf(shape.items);
      return {
        ...description,
        anyOf: [{ type: ["array", "null"], items }, { type: "string" }],
        default: shape.default,
      };
    }
    case "variant": {
      const options = Object.entries(shape.options).map(([name, option]) => {
        const schema = jsonSchemaOf(option) as { readonly properties: object; readonly required?: readonly string[] };
        return {
          ...schema,
          type: "object",
          properties: { [shape.tag]: { const: name }, ...schema.properties },
          required: [shape.tag, ...(schema.required ?? [])],
        };
      });
      return { ...description, oneOf: options };
    }
  }
}

function isRequired(shape: Shape): boolean {
  return shape.kind === "leaf" && shape.default === undefined;
}

export function renderDocs(): string {
  return `${docsHead}
| setting | variable | type | default | bounds | |
|---|---|---|---|---|---|
${settingRows.map(([, setting]) => settingRow(setting)).join("\n")}

## \`listeners\`, \`sasl\`, \`lake.catalogs\` and \`topics\`

These blocks are said in the file only. \`<name>\` is a name of your own, \`<topic>\` a topic.

| key | type | default | |
|---|---|---|---|
${[
  ...shapeRows(listenersShape, "listeners"),
  ...shapeRows(saslShape, "sasl"),
  ...shapeRows(lakeShape, "lake"),
  ...shapeRows(topicsShape, "topics"),
].join("\n")}
`;
}

const docsHead = `# Configuration

<!-- Rendered by scripts/render.ts from schemas/config.ts, src/config/security.ts and src/config/lake.ts. Change it there. -->

Every setting can be said in four places. The first that says it wins:

1. a flag of \`inlet start\`: \`--wal-segment-bytes 64MiB\`
2. a variable: \`INLET_WAL_SEGMENT_BYTES=64MiB\`
3. the YAML file, nested by the dots of the key: \`wal: { segment: { bytes: 64MiB } }\`
4. the default

Sizes are bytes or have a unit (B, KB, MB, GB, TB, KiB, MiB, GiB, TiB); durations are milliseconds or have one (ms, s, m, h, d).
In a value, \`\${env:NAME}\` stands for a variable and \`\${file:/path}\` for the text of a file; \`$\${\` is a plain \`\${\`.
\`inlet config check\` says everything that is wrong at once, \`inlet config print\` what is in force, \`inlet config schema\` is
the JSON Schema for editors.

## Settings
`;

function settingRow(setting: Setting<SettingType>): string {
  const shape = shapeOf(setting);
  const show = (value: number): string => (shape.kind === "leaf" ? String(shape.show(value)) : String(value));
  const bounds = [
    ...(setting.min === undefined ? [] : [`≥ ${show(setting.min)}`]),
    ...(setting.max === undefined ? [] : [`≤ ${show(setting.max)}`]),
    ...(setting.oneOf === undefined ? [] : [setting.oneOf.map((word) => `\`${word}\``).join(", ")]),
  ];
  return row([
    `\`${setting.key}\``,
    `\`${variableOf(setting)}\``,
    setting.type,
    defaultText(shape),
    bounds.join(", "),
    setting.doc,
  ]);
}

function shapeRows(shape: Shape, path: string): readonly string[] {
  switch (shape.kind) {
    case "leaf":
      return [row([`\`${path}\``, shape.typeName, defaultText(shape), shape.doc])];
    case "list":
      return [row([`\`${path}\``, `list of ${shape.items.typeName}`, defaultText(shape), shape.doc])];
    case "object":
      return Object.entries(shape.fields).flatMap(([key, field]) => shapeRows(field, `${path}.${key}`));
    case "record":
      return shapeRows(shape.values, `${path}.<${shape.keyName}>`);
    case "variant":
      return [
        row([`\`${path}.${shape.tag}\``, `one of ${Object.keys(shape.options).join(", ")}`, "required", shape.doc]),
        ...Object.entries(shape.options).flatMap(([name, option]) =>
          shapeRows(option, path).map((line) => line.replace(/ \|$/, ` (${name}) |`)),
        ),
      ];
  }
}

function defaultText(shape: Shape): string {
  if (shape.kind === "leaf") {
    if (shape.default === undefined) return "required";
    const value = shape.show(shape.default);
    return value === "" ? "" : `\`${String(value)}\``;
  }
  return shape.kind === "list"
    ? `\`[${shape.default.map((value) => String(shape.items.show(value))).join(", ")}]\``
    : "";
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** A file that says nothing yet: each setting commented out with its default, and an example of the blocks. */
export function renderStarterYaml(schemaReference: string): string {
  return `# yaml-language-server: $schema=${schemaReference}
#
# Inlet's configuration. What is commented out shows its default; "inlet config check" tells whether the file is right.
# Any setting can also be said as a flag (--kafka-port 9092) or a variable (INLET_KAFKA_PORT=9092).

${starterSettings(fileShape.fields, "")}
# listeners:
#   internal: { port: 9092 }
#   external:
#     port: 9094
#     advertised_host: kafka.example.com
#     protocol: SASL_SSL
#     mechanisms: [SCRAM-SHA-512]
#     tls: { certificate: /etc/inlet/tls.crt, key: /etc/inlet/tls.key }

# lake:
#   catalogs:
#     main: { type: embedded }
#     other:
#       type: rest
#       uri: http://127.0.0.1:8181
#       warehouse: main
#       auth: { oauth2: { token_uri: http://127.0.0.1:8181/token, client_id: inlet, client_secret: "\${env:CATALOG_SECRET}", scope: catalog } }

# topics:
#   orders:
#     table: { catalog: main, name: sales.orders }
#     value: { decode: schema-id }
#     layout: { partition_by: [day(_kafka_timestamp), "bucket(16, id)"] }
#     commit: { every: 30s }
#     errors: { policy: dlq }
`;
}

/** Blocks of which the starter file shows an example instead of defaults. */
const exemplified: ReadonlySet<string> = new Set(["listeners", "sasl", "lake", "topics"]);

function starterSettings(fields: Readonly<Record<string, Shape>>, indent: string): string {
  return Object.entries(fields)
    .filter(([key]) => indent !== "" || !exemplified.has(key))
    .map(([key, shape]) => {
      if (shape.kind === "object") {
        const inner = starterSettings(shape.fields, `${indent}  `);
        return `# ${indent}${key}:\n${inner}${indent === "" ? "\n" : ""}`;
      }
      const byDefault = shape.kind === "leaf" && shape.default !== undefined ? shape.show(shape.default) : [];
      return `# ${indent}${key}: ${JSON.stringify(byDefault)} # ${shape.doc}\n`;
    })
    .join("");
}

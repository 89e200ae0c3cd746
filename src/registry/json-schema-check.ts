/** Whether a value is a JSON Schema, by the meta-schema of the draft that it names; draft 7 when it names none that we know. */
import { createRequire } from "node:module";
import type { Ajv } from "ajv";

/** undefined when it is one, else what is wrong with it. */
export function invalidJsonSchema(schema: unknown): string | undefined {
  const ajv = validatorFor(schema);
  const draft =
    typeof schema === "object" && schema !== null ? (schema as { readonly $schema?: unknown }).$schema : undefined;
  // Without its $schema: ajv throws for a draft that it was not built with.
  const checked = draft === undefined ? schema : { ...(schema as object), $schema: undefined };
  const text = JSON.stringify(checked, String(draft).includes("draft-04") ? withoutFlags : undefined);
  if (ajv.validate(ajv.opts.defaultMeta as string, JSON.parse(text))) return undefined;
  const error = ajv.errors?.[0];
  return `${error?.instancePath === "" ? "the schema" : error?.instancePath} ${error?.message ?? "is invalid"}`;
}

/** Draft 4's words that later drafts took for others: exclusive bounds were flags beside the bound. */
function withoutFlags(key: string, value: unknown): unknown {
  const isFlag = (key === "exclusiveMinimum" || key === "exclusiveMaximum") && typeof value === "boolean";
  return isFlag ? undefined : value;
}

/** Loaded when the first JSON Schema comes: most brokers see none, and a plain start stays small. */
const load = createRequire(import.meta.url);
const drafts = {
  draft7: { module: "ajv", meta: "http://json-schema.org/draft-07/schema#" },
  draft2019: { module: "ajv/dist/2019.js", meta: "https://json-schema.org/draft/2019-09/schema" },
  draft2020: { module: "ajv/dist/2020.js", meta: "https://json-schema.org/draft/2020-12/schema" },
} as const;
const validators = new Map<string, Ajv>();

function validatorFor(schema: unknown): Ajv {
  const named =
    typeof schema === "object" && schema !== null ? String((schema as { readonly $schema?: unknown }).$schema) : "";
  const { module, meta } = named.includes("2020-12")
    ? drafts.draft2020
    : named.includes("2019-09")
      ? drafts.draft2019
      : drafts.draft7;
  const known = validators.get(module);
  if (known !== undefined) return known;
  const { default: Validator } = load(module) as { readonly default: new (options: object) => Ajv };
  const made = new Validator({ strict: false, defaultMeta: meta, logger: false });
  validators.set(module, made);
  return made;
}

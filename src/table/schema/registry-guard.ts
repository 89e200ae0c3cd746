/**
 * Whether a schema that is about to be registered has a place in the tables of its subject. It is asked what the committer would be
 * asked when the first record comes, so that what the registry takes, the table takes.
 */
import { CorruptData } from "../../base/errors.ts";
import type { ProtobufMessage } from "../../registry/protobuf-schema.ts";
import type { GuardedSchema, RegistrationGuard } from "../../registry/schema-registry.ts";
import type { TableSettings } from "../settings.ts";
import {
  type Evolution,
  evolve,
  initialMapping,
  type MappingSource,
  type MessagePath,
  type RecordPart,
  type SchemaText,
  sourceKey,
  type TableMapping,
} from "./schema-map.ts";
import { protobufFile } from "./schema-map-protobuf.ts";

export interface GuardOptions {
  readonly tables: readonly TableSettings[];
  /** Of the topic's table; undefined before there is one. */
  readonly mappingOf: (settings: TableSettings) => TableMapping | undefined;
}

/** The subject of a topic's keys or values. */
export function subjectOf({ topic, value }: TableSettings, part: RecordPart): string {
  return part === "value" && value.subject !== null ? value.subject : `${topic}-${part}`;
}

export function tableGuard({ tables, mappingOf }: GuardOptions): RegistrationGuard {
  return ({ subject, earlier, proposed }) =>
    tables.flatMap((settings) =>
      boundParts(settings, subject).flatMap((part) => {
        const mapping = mappingOf(settings) ?? initialMapping(settings);
        const reason = new Trial(settings, part, usedMessages(mapping, part, earlier)).run(mapping, earlier, proposed);
        const table = [...settings.namespace, settings.table].join(".");
        return reason === undefined
          ? []
          : [`table ${table} cannot take it from ${part}s of topic ${settings.topic}: ${reason}. ${wayOut(part)}`];
      }),
    );
}

function wayOut(part: RecordPart): string {
  const newColumn = part === "value" ? ", set value.on_type_change: new-column for the topic" : "";
  return `Keep the type of the column, give the field a new name${newColumn}, or turn registry.tables.check off`;
}

function boundParts(settings: TableSettings, subject: string): readonly RecordPart[] {
  const parts = ["key", "value"] as const;
  return parts.filter((part) => settings[part].decode === "schema-id" && subjectOf(settings, part) === subject);
}

class Trial {
  readonly #settings: TableSettings;
  readonly #part: RecordPart;
  readonly #messages: ReadonlySet<string>;

  constructor(settings: TableSettings, part: RecordPart, messages: ReadonlySet<string>) {
    this.#settings = settings;
    this.#part = part;
    this.#messages = messages;
  }

  /** Versions that no record has used yet come first: their producers may start at any time. */
  run(
    mapping: TableMapping,
    earlier: readonly GuardedSchema[],
    proposed: Omit<GuardedSchema, "id">,
  ): string | undefined {
    const grown = earlier.reduce((before, each) => this.#with(before, each).mapping, mapping);
    const evolution = this.#with(grown, { ...proposed, id: 0 }); // An id that no schema has: nothing is known of it.
    return evolution.kind === "refused" ? evolution.reason : undefined;
  }

  /** With the columns of the schema, and of each message that records are of. */
  #with(mapping: TableMapping, schema: GuardedSchema): Evolution {
    let evolution: Evolution = { kind: "unchanged", mapping };
    for (const source of this.#sources(schema)) {
      evolution = evolve(evolution.mapping, source, this.#settings);
      if (evolution.kind === "refused") return evolution;
    }
    return evolution;
  }

  #sources(guarded: GuardedSchema): readonly MappingSource[] {
    const schema = schemaText(guarded);
    const source = { kind: "schema-id", part: this.#part, schemaId: guarded.id, schema } as const;
    if (schema.type !== "PROTOBUF") return [source];
    const messages = messagesOf(schema);
    const paths = messages.flatMap(({ name, path }) => (this.#messages.has(name) ? [path] : []));
    return (paths.length === 0 ? [this.#likelyMessage(messages)] : paths).map((message) => ({ ...source, message }));
  }

  /** What producers take when they are not told otherwise; with columns that identify rows, the first that could be a row. */
  #likelyMessage(messages: readonly PlacedMessage[]): MessagePath {
    const key = this.#part === "value" ? this.#settings.mode.key : [];
    const rows = messages.find(({ fields }) => key.every((name) => fields.includes(name)));
    return rows?.path ?? [0];
  }
}

export function schemaText({ schemaType, schema, resolved }: Omit<GuardedSchema, "id">): SchemaText {
  return { type: schemaType as SchemaText["type"], text: schema, references: resolved };
}

/** Names of the messages that records were of, under any version. */
function usedMessages(mapping: TableMapping, part: RecordPart, earlier: readonly GuardedSchema[]): ReadonlySet<string> {
  const known = earlier
    .filter(({ schemaType }) => schemaType === "PROTOBUF")
    .flatMap((schema) =>
      messagesOf(schemaText(schema)).filter(({ path }) => mapping.sources[sourceKey(part, schema.id, path)]),
    );
  return new Set(known.map(({ name }) => name));
}

interface PlacedMessage {
  readonly name: string;
  readonly path: MessagePath;
  /** Names of its own. */
  readonly fields: readonly string[];
}

function messagesOf(schema: SchemaText): readonly PlacedMessage[] {
  try {
    return placed(protobufFile(schema).messages, []);
  } catch (cause) {
    if (cause instanceof CorruptData) return []; // The evolution says so.
    throw cause;
  }
}

function placed(messages: readonly ProtobufMessage[], above: MessagePath): readonly PlacedMessage[] {
  return messages.flatMap(({ name, fields, messages: inner }, index) => {
    const path = [...above, index];
    return [{ name, path, fields: fields.map((field) => field.name) }, ...placed(inner, path)];
  });
}

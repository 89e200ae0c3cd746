/** Events to bytes and back, as schemas/storage.ts draws them. */
import { entryFormat, eventSchemas, factTables, objectKinds, tableStates } from "../../schemas/storage.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Infer, Message } from "../base/codec.ts";
import { assert } from "../base/errors.ts";
import type { NodeId } from "../base/ids.ts";
import type { Configs, MetadataEvent, ReplacingRange } from "./events.ts";

type Kind = MetadataEvent["kind"];
type EventOf<K extends Kind> = Extract<MetadataEvent, { readonly kind: K }>;
type WireOf<K extends Kind> = Infer<(typeof eventSchemas)[K]["schema"]>;
type Body<K extends Kind> = Omit<EventOf<K>, "kind">;

interface Mapping<K extends Kind> {
  toWire(event: EventOf<K>): WireOf<K>;
  fromWire(wire: WireOf<K>, reader: ByteReader): Body<K>;
}

/** Kinds whose fields differ from their bytes by more than a brand. */
const mappings: { readonly [K in Kind]?: Mapping<K> } = {
  "set-broker-configs": {
    toWire: (event) => ({
      nodeId: event.nodeId === null ? null : { id: event.nodeId },
      configs: toPairs(event.configs),
    }),
    fromWire: (wire) => ({
      nodeId: wire.nodeId === null ? null : (wire.nodeId.id as NodeId),
      configs: fromPairs(wire.configs),
    }),
  },
  "create-topic": {
    toWire: (event) => ({ ...event, configs: toPairs(event.configs) }),
    fromWire: (wire) => ({ ...wire, configs: fromPairs(wire.configs) }),
  },
  "set-topic-configs": {
    toWire: (event) => ({ ...event, configs: toPairs(event.configs) }),
    fromWire: (wire) => ({ ...wire, configs: fromPairs(wire.configs) }),
  },
  "commit-object": {
    toWire: (event) => ({ ...event, objectKind: objectKinds.indexOf(event.objectKind) }),
    fromWire: (wire, reader) => ({
      ...(wire as unknown as EventOf<"commit-object">), // Brands only.
      objectKind: named(objectKinds, wire.objectKind, reader),
    }),
  },
  "replace-ranges": {
    toWire(event) {
      const replaced = [...new Set(event.ranges.flatMap(({ replaces }) => replaces))];
      const indexes = new Map(replaced.map((key, index) => [key, index]));
      const ranges = event.ranges.map((range) => ({
        ...range,
        replaces: range.replaces.map((key) => indexes.get(key) as number),
      }));
      return { ...event, objectKind: objectKinds.indexOf(event.objectKind), replaced, ranges };
    },
    fromWire({ replaced, ...wire }, reader) {
      const ranges = wire.ranges as readonly (Omit<ReplacingRange, "replaces"> & {
        readonly replaces: readonly number[];
      })[]; // Brands only.
      return {
        ...wire,
        objectKind: named(objectKinds, wire.objectKind, reader),
        ranges: ranges.map((range) => ({
          ...range,
          replaces: range.replaces.map((index) => named(replaced, index, reader)),
        })),
      };
    },
  },
  "table-rounds-committed": {
    toWire: (event) => ({ ...event, snapshotId: event.snapshotId === null ? null : { id: event.snapshotId } }),
    fromWire: (wire) => ({
      ...(wire as unknown as EventOf<"table-rounds-committed">),
      snapshotId: wire.snapshotId === null ? null : wire.snapshotId.id,
    }),
  },
  "table-schema": {
    toWire: (event) => event,
    fromWire: (wire) => ({ ...wire, schema: wire.schema.slice() }), // The image keeps it; what was read is borrowed.
  },
  "table-state": {
    toWire: (event) => ({ ...event, state: tableStates.indexOf(event.state) }),
    fromWire: (wire, reader) => ({ ...wire, state: named(tableStates, wire.state, reader) }),
  },
  "set-facts": {
    toWire: ({ facts }) => ({ facts: facts.map((fact) => ({ ...fact, table: factTables.indexOf(fact.table) })) }),
    fromWire: ({ facts }, reader) => ({
      facts: facts.map((fact) => ({ ...fact, table: named(factTables, fact.table, reader) })),
    }),
  },
  "put-namespace": {
    toWire: (event) => ({ ...event, properties: toPairs(event.properties) }),
    fromWire: (wire) => ({ ...wire, properties: fromPairs(wire.properties) }),
  },
};

const kindOfType = new Map<number, Kind>(
  Object.entries(eventSchemas).map(([kind, { type }]) => [type, kind as Kind] as const),
);
assert(kindOfType.size === Object.keys(eventSchemas).length, "two events have one number");

/** The bytes of an entry's events. */
export function encodeGroups(groups: readonly (readonly MetadataEvent[])[]): Uint8Array {
  const writer = new ByteWriter();
  writer.uint8(entryFormat);
  writer.uvarint(groups.length);
  for (const group of groups) {
    writer.uvarint(group.length);
    for (const event of group) encodeEvent(writer, event.kind, event);
  }
  return writer.toBytes();
}

export function decodeGroups(bytes: Uint8Array, source: string): readonly (readonly MetadataEvent[])[] {
  const reader = new ByteReader(bytes, { source });
  const format = reader.uint8();
  if (format !== entryFormat) reader.corrupt(`metadata events of format ${entryFormat}`, `format ${format}`);
  const groups = readMany(reader, () => readMany(reader, () => decodeEvent(reader)));
  if (reader.remaining > 0) reader.corrupt("the end of the events", `${reader.remaining} more bytes`);
  return groups;
}

/** How many bytes the event takes, for whoever fills a batch. */
export function encodedBytes(events: readonly MetadataEvent[]): number {
  const writer = new ByteWriter();
  for (const event of events) encodeEvent(writer, event.kind, event);
  return writer.length;
}

function encodeEvent<K extends Kind>(writer: ByteWriter, kind: K, event: EventOf<NoInfer<K>>): void {
  const { type, schema } = eventSchemas[kind];
  const mapping: Mapping<K> | undefined = mappings[kind];
  const version = schema.versions[1];
  const body = new ByteWriter();
  (schema as Message<unknown, unknown>).write(body, version, mapping === undefined ? event : mapping.toWire(event));
  writer.uint16(type);
  writer.uint8(version);
  writer.uvarint(body.length);
  writer.append(body);
}

function decodeEvent(reader: ByteReader): MetadataEvent {
  const type = reader.uint16();
  const kind = kindOfType.get(type);
  if (kind === undefined) return reader.corrupt("an event that this release knows", `type ${type}`);
  const version = reader.uint8();
  const length = reader.uvarint();
  const end = reader.position + length;
  const wire = (eventSchemas[kind].schema as Message<unknown, unknown>).read(reader, version);
  if (reader.position !== end) reader.corrupt(`${kind} of ${length} bytes`, `an end at ${reader.position}`);
  const mapping = mappings[kind] as Mapping<Kind> | undefined;
  const body = mapping === undefined ? wire : mapping.fromWire(wire as never, reader);
  return { ...(body as object), kind } as MetadataEvent;
}

function readMany<T>(reader: ByteReader, read: () => T): readonly T[] {
  const count = reader.uvarint();
  reader.admit(count, 1);
  return Array.from({ length: count }, read);
}

function named<const Names extends readonly string[]>(names: Names, index: number, reader: ByteReader): Names[number] {
  return names[index] ?? reader.corrupt(`one of ${names.join(", ")}`, `number ${index}`);
}

export function toPairs(configs: Configs): readonly { readonly key: string; readonly value: string }[] {
  return [...configs].map(([key, value]) => ({ key, value })).sort((a, b) => (a.key < b.key ? -1 : 1));
}

export function fromPairs(pairs: readonly { readonly key: string; readonly value: string }[]): Configs {
  return new Map(pairs.map(({ key, value }) => [key, value]));
}

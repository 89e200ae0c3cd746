/** The image to bytes and back: decode(encode(image)) is the same image, and equal images are equal bytes. */
import {
  imageFormat,
  imageHead,
  imageSchemas,
  objectKinds,
  refusalReasons,
  tableStates,
} from "../../schemas/storage.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { InferInput, Message } from "../base/codec.ts";
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../base/ids.ts";
import { fromPairs, toPairs } from "./event-codec.ts";
import type { Refusal } from "./events.ts";
import type { PendingRound, Topic, WalInfo } from "./image.ts";
import { type Decision, ImageState, type NodeState, type TableState, tableWith } from "./image-state.ts";
import { RangeColumns } from "./range-columns.ts";

const version = 0;
const pageBytes = 64 * 1024;
/** A checkpoint is our own and checksummed: the bound is only there so that no damage can ask for everything. */
const elementsMax = 100_000_000;

/** In pages, so that the caller may let others run between two of them; meanwhile the image must not change. */
export function* encodeImage(image: ImageState): Generator<readonly Uint8Array[]> {
  const head = new ByteWriter();
  head.uint8(imageFormat);
  imageHead.write(head, version, image);
  yield head.finish();
  yield* section(imageSchemas.node, sorted(image.nodeStates));
  yield* section(imageSchemas.decisions, sorted(image.decisions), (operations, node) => ({
    node,
    operations: [...operations].map(([opId, decision]) => ({
      opId,
      seq: decision.seq,
      refusals: decision.refusals.map(toWireRefusal),
    })),
  }));
  yield* section(imageSchemas.brokerConfigs, sorted(image.configsOfBrokers), (configs, id) => ({
    node: id === null ? null : { id },
    configs: toPairs(configs),
  }));
  yield* section(imageSchemas.topic, sorted(image.topicsById), (topic) => ({
    ...topic,
    configs: toPairs(topic.configs),
  }));
  yield* section(imageSchemas.generation, sorted(image.topicGenerations), (count, name) => ({ name, count }));
  yield* section(imageSchemas.object, sorted(image.objectsByNumber), (object) => ({
    ...object,
    kind: objectKinds.indexOf(object.kind),
    unreferencedSince: image.unreferencedSince.get(object.key) ?? 0,
  }));
  yield* section(imageSchemas.stream, sorted(image.streamStates), (stream) => ({
    ...stream,
    node: stream.node === undefined ? null : { id: stream.node },
    ranges: stream.ranges.encode(),
  }));
  yield* section(imageSchemas.table, sorted(image.tableStates), (table) => ({
    ...table,
    state: tableStates.indexOf(table.state),
    lanes: toWireLanes(table.lanes),
    committedLanes: toWireLanes(table.committedLanes),
  }));
  yield* section(imageSchemas.namespace, sorted(image.namespaceProperties), (properties, name) => ({
    name,
    properties: toPairs(properties),
    tables: sorted(image.pointers.get(name) ?? new Map<string, string>()).map(([table, location]) => ({
      table,
      location,
    })),
  }));
}

/** Keeps nothing of the input. */
export function decodeImage(bytes: Uint8Array, source: string): ImageState {
  const reader = new ByteReader(bytes, { source, elementsMax });
  const format = reader.uint8();
  if (format !== imageFormat) reader.corrupt(`an image of format ${imageFormat}`, `format ${format}`);
  const image = new ImageState();
  const head = imageHead.read(reader, version);
  Object.assign(image, { ...head, hash: head.hash.slice() });
  readNodes(reader, image);
  readTopics(reader, image);
  readObjectsAndStreams(reader, image);
  readTables(reader, image);
  for (const { name, properties, tables } of items(reader, imageSchemas.namespace)) {
    image.namespaceProperties.set(name, fromPairs(properties));
    if (tables.length > 0) image.pointers.set(name, new Map(tables.map(({ table, location }) => [table, location])));
  }
  if (reader.remaining > 0) reader.corrupt("the end of the image", `${reader.remaining} more bytes`);
  return image;
}

function readNodes(reader: ByteReader, image: ImageState): void {
  for (const node of items(reader, imageSchemas.node)) {
    const id = node.id as NodeId;
    const epoch = node.epoch as NodeEpoch;
    const wals = node.wals as readonly WalInfo[];
    image.nodeStates.set(id, { ...node, id, epoch, wals } satisfies NodeState);
  }
  for (const { node, operations } of items(reader, imageSchemas.decisions)) {
    const decisions = operations.map(({ opId, seq, refusals }): [Uuid, Decision] => [
      opId,
      { seq: seq as Seq, refusals: refusals.map((refusal) => fromWireRefusal(refusal, reader)) },
    ]);
    image.decisions.set(node as NodeId, new Map(decisions));
  }
  for (const { node, configs } of items(reader, imageSchemas.brokerConfigs))
    image.configsOfBrokers.set(node === null ? null : (node.id as NodeId), fromPairs(configs));
}

function readTopics(reader: ByteReader, image: ImageState): void {
  for (const wire of items(reader, imageSchemas.topic)) {
    const partitions = wire.partitions as readonly StreamId[];
    const topic: Topic = { ...wire, partitions, configs: fromPairs(wire.configs) };
    image.topicsById.set(topic.id, topic);
    image.topicIds.set(topic.name, topic.id);
    image.partitionCount += partitions.length;
  }
  for (const { name, count } of items(reader, imageSchemas.generation)) image.topicGenerations.set(name, count);
}

/** What objects say about how many ranges hold them is counted again. */
function readObjectsAndStreams(reader: ByteReader, image: ImageState): void {
  const live = new Map<number, number>();
  for (const wire of items(reader, imageSchemas.object)) {
    const { unreferencedSince, ...rest } = wire;
    const kind = objectKinds[wire.kind] ?? reader.corrupt("an object kind", `number ${wire.kind}`);
    const object = { ...rest, kind, node: wire.node as NodeId, committedAt: wire.committedAt as Seq };
    image.objectsByKey.set(object.key, object);
    image.objectsByNumber.set(object.number, object);
    if (unreferencedSince > 0) image.unreferencedSince.set(object.key, unreferencedSince as Seq);
  }
  for (const wire of items(reader, imageSchemas.stream)) {
    if (wire.ranges.length % RangeColumns.rowBytes !== 0) reader.corrupt("whole rows", `${wire.ranges.length} bytes`);
    const ranges = RangeColumns.decode(wire.ranges);
    for (let index = 0; index < ranges.length; index++) {
      const { object } = ranges.at(index);
      live.set(object, (live.get(object) ?? 0) + 1);
    }
    const id = wire.id as StreamId;
    const node = wire.node === null ? undefined : (wire.node.id as NodeId);
    image.streamStates.set(id, { ...wire, id, node, start: wire.start as Offset, end: wire.end as Offset, ranges });
  }
  for (const [number, count] of live)
    if (!image.objectsByNumber.has(number)) reader.corrupt(`object ${number}`, `${count} ranges that name it`);
  for (const object of image.objectsByNumber.values()) {
    const found = live.get(object.number) ?? 0;
    if (found !== object.live) reader.corrupt(`${object.live} ranges in ${object.key}`, `${found}`);
  }
}

function readTables(reader: ByteReader, image: ImageState): void {
  for (const wire of items(reader, imageSchemas.table)) {
    const table: TableState = {
      ...wire,
      state: tableStates[wire.state] ?? reader.corrupt("a table state", `number ${wire.state}`),
      schema: wire.schema.slice(),
      pending: wire.pending as unknown as readonly PendingRound[], // Brands only.
      committedSeq: wire.committedSeq as Seq,
      lanes: fromWireLanes(wire.lanes),
      committedLanes: fromWireLanes(wire.committedLanes),
      translatedTo: new Map(),
      committedTo: new Map(),
    };
    image.tableStates.set(table.id, tableWith(table, {}));
  }
}

function* section<T, I, Key, Value>(
  schema: Message<T, I>,
  entries: readonly (readonly [Key, Value])[],
  toWire: (value: Value, key: Key) => I = (value) => value as unknown as I,
): Generator<readonly Uint8Array[]> {
  let page = new ByteWriter();
  page.uint32(entries.length);
  for (const [key, value] of entries) {
    schema.write(page, version, toWire(value, key));
    if (page.length < pageBytes) continue;
    yield page.finish();
    page = new ByteWriter();
  }
  yield page.finish();
}

function* items<T, I>(reader: ByteReader, schema: Message<T, I>): Generator<T> {
  const count = reader.uint32();
  reader.admit(count, 1);
  for (let index = 0; index < count; index++) yield schema.read(reader, version);
}

/** null comes first, numbers by size, strings by code unit. */
function sorted<Key extends number | string | null, Value>(
  map: ReadonlyMap<Key, Value>,
): readonly (readonly [Key, Value])[] {
  return [...map].sort(([a], [b]) => (b === null ? 1 : a === null || a < b ? -1 : 1));
}

type WireRefusal = InferInput<typeof imageSchemas.decisions>["operations"][number]["refusals"][number];

function toWireRefusal(refusal: Refusal | null): WireRefusal {
  if (refusal === null) return null;
  const reason = refusalReasons.indexOf(refusal.reason);
  return refusal.reason === "fenced"
    ? { reason, detail: "", by: refusal.by }
    : { reason, detail: refusal.detail, by: 0 };
}

function fromWireRefusal(wire: WireRefusal, reader: ByteReader): Refusal | null {
  if (wire === null) return null;
  const reason = refusalReasons[wire.reason] ?? reader.corrupt("a reason", `number ${wire.reason}`);
  return reason === "fenced" ? { reason, by: wire.by as NodeEpoch } : { reason, detail: wire.detail };
}

type WireLanes = readonly {
  readonly lane: string;
  readonly offsets: readonly { readonly partition: number; readonly offset: number }[];
}[];

function toWireLanes(lanes: TableState["lanes"]): WireLanes {
  return sorted(lanes).map(([lane, ends]) => ({
    lane,
    offsets: sorted(ends).map(([partition, offset]) => ({ partition, offset })),
  }));
}

function fromWireLanes(lanes: WireLanes): TableState["lanes"] {
  return new Map(
    lanes.map(({ lane, offsets }) => [
      lane,
      new Map(offsets.map(({ partition, offset }) => [partition, offset as Offset])),
    ]),
  );
}

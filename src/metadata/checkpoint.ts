/** The image to bytes and back: decode(encode(image)) is the same image, and equal images are equal bytes. */
import { factTables, objectKinds, refusalReasons, tableStates } from "../../schemas/storage.ts";
import { imageFormat, imageHead, imageSchemas } from "../../schemas/storage-image.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Infer, InferInput, Message } from "../base/codec.ts";
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../base/ids.ts";
import { Column } from "./column.ts";
import { fromPairs, toPairs } from "./event-codec.ts";
import type { Refusal } from "./events.ts";
import type { PendingRound, Topic, WalInfo } from "./image.ts";
import {
  type Decision,
  ImageState,
  type NodeState,
  type StreamState,
  type TableState,
  tableWith,
} from "./image-state.ts";
import { nothingBefore, packedRangeBytesMax, packRange, RangeReader } from "./packed-range.ts";
import { RangeList } from "./range-list.ts";
import { type Entries, sortedSteps } from "./sorted-steps.ts";

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
  yield* section(imageSchemas.node, image.nodeStates);
  yield* section(imageSchemas.decisions, image.decisions, (operations, node) => ({
    node,
    operations: [...operations].map(([opId, decision]) => ({
      opId,
      seq: decision.seq,
      refusals: decision.refusals.map(toWireRefusal),
    })),
  }));
  yield* section(imageSchemas.brokerConfigs, image.configsOfBrokers, (configs, id) => ({
    node: id === null ? null : { id },
    configs: toPairs(configs),
  }));
  yield* section(imageSchemas.topic, image.topicsById, (topic) => ({
    ...topic,
    configs: toPairs(topic.configs),
  }));
  yield* section(imageSchemas.generation, image.topicGenerations, (count, name) => ({ name, count }));
  const places = new Uint32Array(image.objectTable.end);
  yield* pages(imageSchemas.object, image.objectTable.size, wireObjects(image, places));
  yield* section(imageSchemas.stream, image.streamStates, (stream) => ({
    ...stream,
    node: stream.node === undefined ? null : { id: stream.node },
    ranges: packRanges(stream.ranges, places),
  }));
  yield* section(imageSchemas.table, image.tableStates, (table) => ({
    ...table,
    state: tableStates.indexOf(table.state),
    lanes: toWireLanes(table.lanes),
    committedLanes: toWireLanes(table.committedLanes),
  }));
  yield* section(imageSchemas.namespace, image.namespaceProperties, (properties, name) => ({
    name,
    properties: toPairs(properties),
    tables: sorted(image.pointers.get(name) ?? new Map<string, string>()).map(([table, location]) => ({
      table,
      location,
    })),
  }));
  yield* section(imageSchemas.facts, image.factTables, (facts, table) => ({
    table,
    facts: sorted(facts).map(([key, value]) => ({ key, value })),
  }));
}

/** Notes the place of each among them, counted from 1, by row. */
function* wireObjects(image: ImageState, places: Uint32Array): Generator<InferInput<typeof imageSchemas.object>> {
  let place = 0;
  for (const row of image.objectTable.rows()) {
    place += 1;
    places[row] = place;
    const entry = image.objectTable.entry(row);
    const unreferencedSince = image.unreferencedSince.get(row) ?? 0;
    yield { ...entry, kind: objectKinds.indexOf(entry.kind), live: image.objectTable.live(row), unreferencedSince };
  }
}

function packRanges(ranges: RangeList, places: Uint32Array): Uint8Array {
  const packed = new Uint8Array(ranges.length * packedRangeBytesMax);
  const cursor = ranges.cursor();
  let at = 0;
  let before = nothingBefore(0 as Offset);
  while (cursor.next()) {
    const row = { ...cursor.row.row(), object: places[cursor.row.object] as number };
    at = packRange(packed, at, row, before);
    before = row;
  }
  return packed.slice(0, at);
}

export function decodeImage(bytes: Uint8Array, source: string): ImageState {
  for (const steps = decodeImageSteps(bytes, source); ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Yields after each item, so that the caller may let others run. Keeps nothing of the input. */
export function* decodeImageSteps(bytes: Uint8Array, source: string): Generator<undefined, ImageState> {
  const reader = new ByteReader(bytes, { source, elementsMax });
  const format = reader.uint8();
  if (format !== imageFormat) reader.corrupt(`an image of format ${imageFormat}`, `format ${format}`);
  const image = new ImageState();
  const head = imageHead.read(reader, version);
  Object.assign(image, { ...head, hash: head.hash.slice() });
  readNodes(reader, image);
  yield* readTopics(reader, image);
  yield* readObjectsAndStreams(reader, image);
  yield* readTables(reader, image);
  for (const { name, properties, tables } of items(reader, imageSchemas.namespace)) {
    yield;
    image.namespaceProperties.set(name, fromPairs(properties));
    if (tables.length > 0) image.pointers.set(name, new Map(tables.map(({ table, location }) => [table, location])));
  }
  // An image from before there were facts ends here.
  if (reader.remaining > 0) readFacts(reader, image);
  if (reader.remaining > 0) reader.corrupt("the end of the image", `${reader.remaining} more bytes`);
  return image;
}

function readFacts(reader: ByteReader, image: ImageState): void {
  for (const { table, facts } of items(reader, imageSchemas.facts)) {
    const known = factTables.find((each) => each === table) ?? reader.corrupt("a table of facts", table);
    image.factTables.set(known, new Map(facts.map(({ key, value }) => [key, value])));
  }
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

function* readTopics(reader: ByteReader, image: ImageState): Generator<undefined, void> {
  for (const wire of items(reader, imageSchemas.topic)) {
    const partitions = wire.partitions as readonly StreamId[];
    const topic: Topic = { ...wire, partitions, configs: fromPairs(wire.configs) };
    image.topicsById.set(topic.id, topic);
    image.topicIds.set(topic.name, topic.id);
    image.partitionCount += partitions.length;
    yield;
  }
  for (const { name, count } of items(reader, imageSchemas.generation)) {
    image.topicGenerations.set(name, count);
    yield;
  }
}

/** What objects say about how many ranges hold them is counted again. */
function* readObjectsAndStreams(reader: ByteReader, image: ImageState): Generator<undefined, void> {
  const { objectTable } = image;
  for (const { key, bytes, node, committedAt, live, ...wire } of items(reader, imageSchemas.object)) {
    const kind = objectKinds[wire.kind] ?? reader.corrupt("an object kind", `number ${wire.kind}`);
    if (objectTable.find(key) !== 0) reader.corrupt("each object once", key);
    const row = objectTable.add({ key, bytes, kind, node: node as NodeId, committedAt: committedAt as Seq });
    objectTable.setLive(row, live);
    if (wire.unreferencedSince > 0) image.unreferencedSince.set(row, wire.unreferencedSince as Seq);
    yield;
  }
  const counted = new Column(Uint32Array);
  for (const wire of items(reader, imageSchemas.stream)) {
    const stream = readStream(wire, image, reader);
    image.streamStates.set(stream.id, stream);
    const cursor = stream.ranges.cursor();
    while (cursor.next()) counted.set(cursor.row.object, counted.get(cursor.row.object) + 1);
    yield;
  }
  for (const row of objectTable.rows()) {
    const [live, found] = [objectTable.live(row), counted.get(row)];
    if (live !== found) reader.corrupt(`${live} ranges in ${objectTable.key(row)}`, `${found}`);
    yield;
  }
}

function readStream(wire: Infer<typeof imageSchemas.stream>, image: ImageState, reader: ByteReader): StreamState {
  const { topicId, partition, epoch, start, end, ranges } = wire;
  return {
    id: wire.id as StreamId,
    topicId,
    partition,
    epoch,
    node: wire.node === null ? undefined : (wire.node.id as NodeId),
    start: start as Offset,
    end: end as Offset,
    ranges: unpackRanges(ranges, image, reader),
  };
}

/** Rows of a table that was empty are given out in order, so a place is a row. */
function unpackRanges(packed: Uint8Array, { rangeCells, objectTable }: ImageState, reader: ByteReader): RangeList {
  const list = new RangeList(rangeCells);
  const rows = new RangeReader();
  rows.begin(packed, 0, 0 as Offset);
  while (rows.at < packed.length) {
    rows.read();
    const { from, to, bytes, maxTimestamp, epoch, object } = rows;
    const isCounted = [from, to, bytes, maxTimestamp, epoch].every(Number.isSafeInteger);
    if (rows.at > packed.length || !isCounted) reader.corrupt("whole ranges", `${packed.length} bytes`);
    if (object < 1 || object >= objectTable.end) reader.corrupt(`object ${object}`, "a range that names it");
    list.append(rows);
  }
  return list;
}

function* readTables(reader: ByteReader, image: ImageState): Generator<undefined, void> {
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
    yield;
  }
}

function* section<T, I, Key extends number | string | null, Value>(
  schema: Message<T, I>,
  map: Entries<Key, Value>,
  toWire: (value: Value, key: Key) => I = (value) => value as unknown as I,
): Generator<readonly Uint8Array[]> {
  const entries = yield* withoutBytes(sortedSteps(map));
  function* wires(): Generator<I> {
    for (const [key, value] of entries) yield toWire(value, key);
  }
  yield* pages(schema, map.size, wires());
}

function* pages<T, I>(schema: Message<T, I>, count: number, wires: Iterable<I>): Generator<readonly Uint8Array[]> {
  let page = new ByteWriter();
  page.uint32(count);
  for (const wire of wires) {
    schema.write(page, version, wire);
    if (page.length < pageBytes) continue;
    yield page.finish();
    page = new ByteWriter();
  }
  yield page.finish();
}

/** Steps that give no bytes. */
function* withoutBytes<T>(steps: Generator<undefined, T>): Generator<readonly Uint8Array[], T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    yield [];
  }
}

function* items<T, I>(reader: ByteReader, schema: Message<T, I>): Generator<T> {
  const count = reader.uint32();
  reader.admit(count, 1);
  for (let index = 0; index < count; index++) yield schema.read(reader, version);
}

function sorted<Value>(map: ReadonlyMap<string, Value>): readonly (readonly [string, Value])[];
function sorted<Value>(map: ReadonlyMap<number, Value>): readonly (readonly [number, Value])[];
function sorted<Value>(map: ReadonlyMap<string | number, Value>): readonly (readonly [string | number, Value])[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
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

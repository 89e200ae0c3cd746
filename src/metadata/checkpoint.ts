/** The image to bytes and back: decode(encode(image)) is the same image, and equal images are equal bytes. */
import { factTables, refusalReasons, tableStates } from "../../schemas/storage.ts";
import { imageFormat, imageHead, imageSchemas } from "../../schemas/storage-image.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { InferInput } from "../base/codec.ts";
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../base/ids.ts";
import { items, section } from "./checkpoint-pages.ts";
import { objectAndStreamPages, readObjectsAndStreams } from "./checkpoint-streams.ts";
import { fromPairs, toPairs } from "./event-codec.ts";
import type { Refusal } from "./events.ts";
import type { PendingRound, Topic, WalInfo } from "./image.ts";
import { type Decision, ImageState, type NodeState, type TableState, tableWith } from "./image-state.ts";

const version = 0;
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
  yield* objectAndStreamPages(image);
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
  for (const { name, properties, tables } of items(reader, imageSchemas.namespace).each) {
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
  for (const { table, facts } of items(reader, imageSchemas.facts).each) {
    const known = factTables.find((each) => each === table) ?? reader.corrupt("a table of facts", table);
    image.factTables.set(known, new Map(facts.map(({ key, value }) => [key, value])));
  }
}

function readNodes(reader: ByteReader, image: ImageState): void {
  for (const node of items(reader, imageSchemas.node).each) {
    const id = node.id as NodeId;
    const epoch = node.epoch as NodeEpoch;
    const wals = node.wals as readonly WalInfo[];
    image.nodeStates.set(id, { ...node, id, epoch, wals } satisfies NodeState);
  }
  for (const { node, operations } of items(reader, imageSchemas.decisions).each) {
    const decisions = operations.map(({ opId, seq, refusals }): [Uuid, Decision] => [
      opId,
      { seq: seq as Seq, refusals: refusals.map((refusal) => fromWireRefusal(refusal, reader)) },
    ]);
    image.decisions.set(node as NodeId, new Map(decisions));
  }
  for (const { node, configs } of items(reader, imageSchemas.brokerConfigs).each)
    image.configsOfBrokers.set(node === null ? null : (node.id as NodeId), fromPairs(configs));
}

function* readTopics(reader: ByteReader, image: ImageState): Generator<undefined, void> {
  for (const wire of items(reader, imageSchemas.topic).each) {
    const partitions = wire.partitions as readonly StreamId[];
    const topic: Topic = { ...wire, partitions, configs: fromPairs(wire.configs) };
    image.topicsById.set(topic.id, topic);
    image.topicIds.set(topic.name, topic.id);
    image.partitionCount += partitions.length;
    yield;
  }
  for (const { name, count } of items(reader, imageSchemas.generation).each) {
    image.topicGenerations.set(name, count);
    yield;
  }
}

function* readTables(reader: ByteReader, image: ImageState): Generator<undefined, void> {
  for (const wire of items(reader, imageSchemas.table).each) {
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

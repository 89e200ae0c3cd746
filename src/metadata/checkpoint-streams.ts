/** The objects and streams of an image to bytes and back: nearly all that there is in a large one. */
import { objectKinds } from "../../schemas/storage.ts";
import { imageSchemas } from "../../schemas/storage-image.ts";
import type { ByteReader } from "../base/bytes.ts";
import type { Infer, InferInput } from "../base/codec.ts";
import type { NodeId, Offset, Seq, StreamId } from "../base/ids.ts";
import { items, pages, section } from "./checkpoint-pages.ts";
import { Column } from "./column.ts";
import type { ImageState, StreamState } from "./image-state.ts";
import { packedRangeBytesMax, RangePacker, RangeReader, type RangeRow } from "./packed-range.ts";
import { RangeList } from "./range-list.ts";

export function* objectAndStreamPages(image: ImageState): Generator<readonly Uint8Array[]> {
  const places = new Uint32Array(image.objectTable.end);
  yield* pages(imageSchemas.object, image.objectTable.size, wireObjects(image, places));
  const packed = new PackedRanges(places);
  yield* section(imageSchemas.stream, image.streamStates, (stream) => ({
    ...stream,
    node: stream.node === undefined ? null : { id: stream.node },
    ranges: packed.of(stream.ranges),
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

/** Packs the ranges of one stream after another, in few buffers: one a stream would be more to collect than to write. */
class PackedRanges {
  readonly #places: Uint32Array;
  readonly #packer = new RangePacker();
  #buffer = new Uint8Array(0);
  #used = 0;

  /** What a row of the table of objects becomes. */
  constructor(places: Uint32Array) {
    this.#places = places;
  }

  of(ranges: RangeList): Uint8Array {
    const bytesMax = ranges.length * packedRangeBytesMax;
    if (this.#used + bytesMax > this.#buffer.length) {
      this.#buffer = new Uint8Array(Math.max(bytesMax, rangeBufferBytes));
      this.#used = 0;
    }
    const from = this.#used;
    const cursor = ranges.cursor();
    this.#packer.begin(0 as Offset);
    while (cursor.next())
      this.#used = this.#packer.pack(this.#buffer, this.#used, cursor.row, this.#places[cursor.row.object] as number);
    return this.#buffer.subarray(from, this.#used);
  }
}

const rangeBufferBytes = 256 * 1024;

/** What objects say about how many ranges hold them is counted again. */
export function* readObjectsAndStreams(reader: ByteReader, image: ImageState): Generator<undefined, void> {
  const { objectTable } = image;
  const { count, each } = items(reader, imageSchemas.object);
  objectTable.reserve(count);
  for (const { key, bytes, node, committedAt, live, ...wire } of each) {
    const kind = objectKinds[wire.kind] ?? reader.corrupt("an object kind", `number ${wire.kind}`);
    if (objectTable.find(key) !== 0) reader.corrupt("each object once", key);
    const row = objectTable.add({ key, bytes, kind, node: node as NodeId, committedAt: committedAt as Seq });
    objectTable.setLive(row, live);
    if (wire.unreferencedSince > 0) image.unreferencedSince.set(row, wire.unreferencedSince as Seq);
    yield;
  }
  const counted = new Column(Uint32Array);
  for (const wire of items(reader, imageSchemas.stream).each) {
    const ranges = unpackRanges(wire.ranges, { image, counted, reader });
    // One string for all streams of a topic, as the fold has it.
    const topicId = image.topic(wire.topicId)?.id ?? wire.topicId;
    image.streamStates.set(wire.id as StreamId, toStream({ ...wire, topicId }, ranges));
    yield;
  }
  for (const row of objectTable.rows()) {
    const [live, found] = [objectTable.live(row), counted.get(row)];
    if (live !== found) reader.corrupt(`${live} ranges in ${objectTable.key(row)}`, `${found}`);
    yield;
  }
}

function toStream(wire: Infer<typeof imageSchemas.stream>, ranges: RangeList): StreamState {
  const { topicId, partition, epoch, start, end } = wire;
  return {
    id: wire.id as StreamId,
    topicId,
    partition,
    epoch,
    node: wire.node === null ? undefined : (wire.node.id as NodeId),
    start: start as Offset,
    end: end as Offset,
    ranges,
  };
}

/** Rows of a table that was empty are given out in order, so a place is a row. Counts the ranges of each. */
function unpackRanges(
  packed: Uint8Array,
  { image, counted, reader }: { readonly image: ImageState; readonly counted: Column; readonly reader: ByteReader },
): RangeList {
  const { rangeCells, objectTable } = image;
  const list = new RangeList(rangeCells);
  const rows = new RangeReader();
  rows.begin(packed, 0, 0 as Offset);
  while (rows.at < packed.length) {
    rows.read();
    const { object } = rows;
    if (rows.at > packed.length || !isSafe(rows)) reader.corrupt("whole ranges", `${packed.length} bytes`);
    if (object < 1 || object >= objectTable.end) reader.corrupt(`object ${object}`, "a range that names it");
    list.append(rows);
    counted.set(object, counted.get(object) + 1);
  }
  return list;
}

function isSafe({ from, to, bytes, maxTimestamp, epoch }: RangeRow): boolean {
  const areEnds = from >= 0 && Number.isSafeInteger(to);
  return areEnds && Number.isSafeInteger(bytes) && Number.isSafeInteger(maxTimestamp) && Number.isSafeInteger(epoch);
}

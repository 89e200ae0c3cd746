/** Objects as bytes (schemas/stream-format.ts draws them), without any I/O. Decoders throw nothing but CorruptData. */
import { crc32 } from "@node-rs/crc32";
import {
  blockEntry,
  blockHeader,
  blockMagic,
  footerMagic,
  frameEntry,
  objectFooter,
  objectHeader,
  objectMagic,
  objectVersion,
  streamEntry,
} from "../../schemas/stream-format.ts";
import { copyInto } from "../base/bytes.ts";
import { assert, CorruptData } from "../base/errors.ts";
import type { NodeEpoch, NodeId, Offset, StreamId, Uuid } from "../base/ids.ts";
import { layout, type Values } from "./layout.ts";
import type { Batch } from "./storage.ts";

const header = layout(objectHeader);
const block = layout(blockHeader);
const frame = layout(frameEntry);
const stream = layout(streamEntry);
const entry = layout(blockEntry);
const footer = layout(objectFooter);

/** Who writes the object. */
export interface ObjectOrigin {
  readonly cluster: Uuid;
  readonly node: NodeId;
  readonly nodeEpoch: NodeEpoch;
}

/** One stream's part of an object that is to be written. */
export interface StreamPart {
  readonly stream: StreamId;
  readonly epoch: number;
  /** Coverage. */
  readonly from: Offset;
  readonly to: Offset;
  readonly label: Uint8Array;
  readonly sidecar: Uint8Array | undefined;
  readonly batches: readonly Batch[];
}

/** Bytes that one batch adds to an object. */
export function framedBytes(batch: { readonly bytes: Uint8Array }): number {
  return frame.bytes + batch.bytes.length;
}

/**
 * An object as it is written, from the front to the back: header, then for each stream its blocks, then sidecars, then the end.
 * What is returned is what comes next in the object.
 */
export class ObjectEncoder {
  readonly #blocks: Values<typeof blockEntry>[] = [];
  readonly #streams: Values<typeof streamEntry>[] = [];
  readonly #labels: Uint8Array[] = [];
  #position = 0;
  #labelAt = 0;

  header(origin: ObjectOrigin): Uint8Array {
    assert(this.#position === 0, "an object has one header");
    return this.#next(encodeHeader(origin));
  }

  /** What stands between the header and the blocks. */
  second(bytes: Uint8Array): Uint8Array {
    return this.#next(bytes);
  }

  /** Blocks that follow are the stream's. Streams come in the order of their ids. */
  stream({ stream: id, epoch, from, to, label }: Omit<StreamPart, "sidecar" | "batches">): void {
    assert(id > (this.#streams.at(-1)?.stream ?? -1), "the streams of an object are sorted");
    const place = { firstBlock: this.#blocks.length, blockCount: 0, labelAt: this.#labelAt, labelBytes: label.length };
    this.#streams.push({ stream: id, epoch, from, to, ...place, ...noSidecar });
    this.#labels.push(label);
    this.#labelAt += label.length;
  }

  block(batches: readonly Batch[]): readonly Uint8Array[] {
    const entries = this.#streams.at(-1);
    assert(entries !== undefined, "a block is of a stream");
    const { views, bytes } = encodeBlock(entries.stream as StreamId, batches);
    this.#blocks.push({ stream: entries.stream, ...coverageOf(batches), position: this.#position, bytes });
    this.#streams[this.#streams.length - 1] = { ...entries, blockCount: entries.blockCount + 1 };
    this.#position += bytes;
    return views;
  }

  /** After all blocks. `index` counts the streams in their order. */
  sidecar(index: number, bytes: Uint8Array): Uint8Array {
    const place = { sidecarPosition: this.#position, sidecarBytes: bytes.length, sidecarCrc: crc32(bytes) };
    this.#streams[index] = { ...(this.#streams[index] as Values<typeof streamEntry>), ...place };
    return this.#next(bytes);
  }

  end(): readonly Uint8Array[] {
    return encodeIndex(this.#streams, this.#blocks, this.#labels, this.#position);
  }

  #next(bytes: Uint8Array): Uint8Array {
    this.#position += bytes.length;
    return bytes;
  }
}

/**
 * Yields the object piece by piece, a block at most each, so that the caller can let others run in between. `second` is put
 * behind the header as it is; it may be filled in when all the rest is known.
 */
export function* encodeObject(
  origin: ObjectOrigin,
  parts: readonly StreamPart[],
  blockBytesMax: number,
  second?: Uint8Array,
): Generator<readonly Uint8Array[], void, void> {
  const encoder = new ObjectEncoder();
  yield second === undefined ? [encoder.header(origin)] : [encoder.header(origin), encoder.second(second)];
  for (const part of parts) {
    encoder.stream(part);
    for (const batches of cutIntoBlocks(part.batches, blockBytesMax)) yield encoder.block(batches);
  }
  for (const [index, { sidecar }] of parts.entries())
    if (sidecar !== undefined) yield [encoder.sidecar(index, sidecar)];
  yield encoder.end();
}

const noSidecar = { sidecarPosition: 0, sidecarBytes: 0, sidecarCrc: 0 };

/** Bytes at the start of an object that hold its header. */
export const headerBytes = header.bytes;

/** Bytes at the end of an object that hold the footer. */
export const footerBytes = footer.bytes;

export interface Footer {
  readonly indexPosition: number;
  readonly indexBytes: number;
  readonly indexCrc: number;
  readonly streamCount: number;
  readonly blockCount: number;
}

/** `tail` are the last bytes of an object of `objectBytes`. */
export function decodeFooter(tail: Uint8Array, objectBytes: number, source: string): Footer {
  const at = tail.length - footer.bytes;
  const values = footer.read(tail, at, source);
  const position = objectBytes - footer.bytes;
  const corrupt = (expected: string, found: unknown): never => refuse(source, position, expected, found);
  if (values.magic !== footerMagic) corrupt(`footer magic ${footerMagic}`, values.magic);
  const crc = crc32(tail.subarray(at, at + footer.bytes - 8));
  if (crc !== values.footerCrc) corrupt(`footer CRC ${values.footerCrc}`, crc);
  if (values.version !== objectVersion) corrupt(`version ${objectVersion}`, values.version);
  if (values.indexPosition + values.indexBytes !== position) corrupt("an index that ends at the footer", "another");
  const entriesBytes = values.streamCount * stream.bytes + values.blockCount * entry.bytes;
  if (entriesBytes > values.indexBytes) corrupt(`${entriesBytes} bytes of index`, values.indexBytes);
  return values;
}

export interface IndexedStream {
  readonly stream: StreamId;
  readonly epoch: number;
  readonly from: Offset;
  readonly to: Offset;
  readonly label: Uint8Array;
  readonly sidecar: { readonly position: number; readonly bytes: number; readonly crc: number } | undefined;
}

export interface IndexedBlock {
  readonly from: Offset;
  readonly to: Offset;
  readonly maxTimestamp: number;
  readonly position: number;
  readonly bytes: number;
}

export interface PlacedBlock extends IndexedBlock {
  readonly stream: StreamId;
}

/** The index of an object. Stays packed: an object of many streams is asked about few of them. */
export class ObjectIndex {
  readonly #bytes: Uint8Array;
  readonly #footer: Footer;
  readonly #source: string;

  constructor(bytes: Uint8Array, footer: Footer, source: string) {
    const crc = crc32(bytes);
    if (crc !== footer.indexCrc) refuse(source, footer.indexPosition, `index CRC ${footer.indexCrc}`, crc);
    this.#bytes = bytes;
    this.#footer = footer;
    this.#source = source;
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  *streams(): Iterable<IndexedStream> {
    for (let i = 0; i < this.#footer.streamCount; i += 1) yield this.#indexed(this.#stream(i));
  }

  stream(id: StreamId): IndexedStream | undefined {
    const found = this.#find(id);
    return found === undefined ? undefined : this.#indexed(found);
  }

  /** The stream's blocks that end after `from`, in order. */
  *blocks(id: StreamId, from: Offset): Iterable<PlacedBlock> {
    const found = this.#find(id);
    if (found === undefined) return;
    const { firstBlock, blockCount } = found;
    if (firstBlock + blockCount > this.#footer.blockCount) {
      refuse(
        this.#source,
        this.#footer.indexPosition,
        `at most ${this.#footer.blockCount} blocks`,
        firstBlock + blockCount,
      );
    }
    const first = partition(blockCount, (i) => this.#block(firstBlock + i).to > from);
    for (let i = first; i < blockCount; i += 1) yield this.#block(firstBlock + i);
  }

  #find(id: StreamId): Values<typeof streamEntry> | undefined {
    const at = partition(this.#footer.streamCount, (i) => this.#stream(i).stream >= id);
    if (at === this.#footer.streamCount) return undefined;
    const found = this.#stream(at);
    return found.stream === id ? found : undefined;
  }

  #stream(i: number): Values<typeof streamEntry> {
    return stream.read(this.#bytes, i * stream.bytes, this.#source);
  }

  #block(i: number): PlacedBlock {
    const { streamCount, indexPosition } = this.#footer;
    const values = entry.read(this.#bytes, streamCount * stream.bytes + i * entry.bytes, this.#source);
    if (values.position < 0 || values.position + values.bytes > indexPosition) {
      refuse(this.#source, indexPosition, "a block before the index", values.position);
    }
    return { ...values, stream: values.stream as StreamId, from: values.from as Offset, to: values.to as Offset };
  }

  #indexed(values: Values<typeof streamEntry>): IndexedStream {
    const { streamCount, blockCount, indexPosition } = this.#footer;
    const labelAt = streamCount * stream.bytes + blockCount * entry.bytes + values.labelAt;
    const { sidecarPosition: position, sidecarBytes: bytes, sidecarCrc: crc } = values;
    if (position < 0 || position + bytes > indexPosition) {
      refuse(this.#source, indexPosition, "a sidecar before the index", position);
    }
    return {
      stream: values.stream as StreamId,
      epoch: values.epoch,
      from: values.from as Offset,
      to: values.to as Offset,
      label: this.#bytes.subarray(labelAt, labelAt + values.labelBytes),
      sidecar: position === 0 ? undefined : { position, bytes, crc },
    };
  }
}

/** The batches of one block, as views of it. */
export function decodeBlock(
  bytes: Uint8Array,
  expected: { readonly stream: StreamId; readonly position: number },
  source: string,
): readonly Batch[] {
  const values = block.read(bytes, 0, source);
  const corrupt = (wanted: string, found: unknown): never => refuse(source, expected.position, wanted, found);
  if (values.magic !== blockMagic) corrupt(`block magic ${blockMagic}`, values.magic);
  if (values.stream !== expected.stream) corrupt(`a block of stream ${expected.stream}`, values.stream);
  if (block.bytes + values.bytes !== bytes.length) corrupt(`${bytes.length} bytes`, block.bytes + values.bytes);
  const crc = crc32(bytes.subarray(block.bytes), crc32(bytes.subarray(0, block.bytes - 4)));
  if (crc !== values.crc) corrupt(`block CRC ${values.crc}`, crc);
  let at = block.bytes + values.frameCount * frame.bytes;
  if (at > bytes.length) corrupt(`at most ${bytes.length} bytes`, at);
  const batches: Batch[] = [];
  for (let i = 0; i < values.frameCount; i += 1) {
    const found = frame.read(bytes, block.bytes + i * frame.bytes, source);
    const end = at + found.bytes;
    if (end > bytes.length) corrupt(`at most ${bytes.length} bytes`, end);
    const { from, to, maxTimestamp } = found;
    // The block's memory is written once, by the read that brought it.
    batches.push({ from, to, maxTimestamp, bytes: bytes.subarray(at, end) } as Batch);
    at = end;
  }
  return batches;
}

export function decodeHeader(bytes: Uint8Array, source: string): ObjectOrigin {
  const values = header.read(bytes, 0, source);
  if (values.magic !== objectMagic) refuse(source, 0, `object magic ${objectMagic}`, values.magic);
  const crc = crc32(bytes.subarray(0, header.bytes - 4));
  if (crc !== values.headerCrc) refuse(source, 0, `header CRC ${values.headerCrc}`, crc);
  if (values.version !== objectVersion) refuse(source, 0, `version ${objectVersion}`, values.version);
  return { cluster: values.cluster, node: values.node as NodeId, nodeEpoch: values.nodeEpoch as NodeEpoch };
}

export function checkSidecar(
  bytes: Uint8Array,
  expected: { readonly position: number; readonly crc: number },
  source: string,
): void {
  const crc = crc32(bytes);
  if (crc !== expected.crc) refuse(source, expected.position, `sidecar CRC ${expected.crc}`, crc);
}

export function encodeHeader(origin: ObjectOrigin): Uint8Array {
  const bytes = new Uint8Array(header.bytes);
  const { cluster, node, nodeEpoch } = origin;
  const values = { magic: objectMagic, version: objectVersion, cluster, node, nodeEpoch };
  header.write(bytes, 0, { ...values, headerCrc: 0 });
  header.write(bytes, 0, { ...values, headerCrc: crc32(bytes.subarray(0, header.bytes - 4)) });
  return bytes;
}

function* cutIntoBlocks(batches: readonly Batch[], blockBytesMax: number): Iterable<readonly Batch[]> {
  let start = 0;
  let bytes = 0;
  for (let i = 0; i < batches.length; i += 1) {
    const added = framedBytes(batches[i] as Batch);
    if (i > start && bytes + added > blockBytesMax) {
      yield batches.slice(start, i);
      start = i;
      bytes = 0;
    }
    bytes += added;
  }
  if (start < batches.length) yield batches.slice(start);
}

function encodeBlock(id: StreamId, batches: readonly Batch[]): { views: readonly Uint8Array[]; bytes: number } {
  let dataBytes = 0;
  for (const batch of batches) dataBytes += batch.bytes.length;
  const tableBytes = block.bytes + batches.length * frame.bytes;
  const isJoined = dataBytes <= batches.length * joinedBatchBytesMax;
  const head = new Uint8Array(isJoined ? tableBytes + dataBytes : tableBytes);
  let at = tableBytes;
  for (let i = 0; i < batches.length; i += 1) {
    const { from, to, maxTimestamp, bytes } = batches[i] as Batch;
    frame.write(head, block.bytes + i * frame.bytes, { from, to, maxTimestamp, bytes: bytes.length });
    if (isJoined) copyInto(head, at, bytes);
    at += bytes.length;
  }
  const views = isJoined ? [head] : [head, ...batches.map((batch) => batch.bytes as Uint8Array)];
  const values = { magic: blockMagic, stream: id, frameCount: batches.length, bytes: at - block.bytes };
  block.write(head, 0, { ...values, crc: 0 });
  let crc = crc32(head.subarray(block.bytes), crc32(head.subarray(0, block.bytes - 4)));
  for (let i = 1; i < views.length; i += 1) crc = crc32(views[i] as Uint8Array, crc);
  block.write(head, 0, { ...values, crc });
  return { views, bytes: at };
}

/** Batches up to this size on average are copied into one piece: a view for each would cost more than the copy. */
const joinedBatchBytesMax = 4096;

function coverageOf(batches: readonly Batch[]): { from: Offset; to: Offset; maxTimestamp: number } {
  let maxTimestamp = -1;
  for (const batch of batches) maxTimestamp = Math.max(maxTimestamp, batch.maxTimestamp);
  return { from: (batches[0] as Batch).from, to: (batches.at(-1) as Batch).to, maxTimestamp };
}

function encodeIndex(
  streams: readonly Values<typeof streamEntry>[],
  blocks: readonly Values<typeof blockEntry>[],
  labels: readonly Uint8Array[],
  indexPosition: number,
): readonly Uint8Array[] {
  const entries = new Uint8Array(streams.length * stream.bytes + blocks.length * entry.bytes);
  for (let i = 0; i < streams.length; i += 1) {
    stream.write(entries, i * stream.bytes, streams[i] as Values<typeof streamEntry>);
  }
  for (let i = 0; i < blocks.length; i += 1) {
    entry.write(entries, streams.length * stream.bytes + i * entry.bytes, blocks[i] as Values<typeof blockEntry>);
  }
  let indexBytes = entries.length;
  let indexCrc = crc32(entries);
  for (const label of labels) {
    indexBytes += label.length;
    indexCrc = crc32(label, indexCrc);
  }
  const end = new Uint8Array(footer.bytes);
  const counts = { streamCount: streams.length, blockCount: blocks.length };
  const values = { version: objectVersion, indexPosition, indexBytes, indexCrc, ...counts, magic: footerMagic };
  footer.write(end, 0, { ...values, footerCrc: 0 });
  footer.write(end, 0, { ...values, footerCrc: crc32(end.subarray(0, footer.bytes - 8)) });
  return [entries, ...labels, end];
}

/** The first index in [0, count) for which the predicate holds, `count` when none; once true it stays true. */
function partition(count: number, holds: (i: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function refuse(source: string, position: number, expected: string, found: unknown): never {
  throw new CorruptData({ source, position, expected, found: String(found) });
}

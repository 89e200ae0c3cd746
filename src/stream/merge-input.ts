/**
 * What one merge reads, opened: the indexes of its source objects, and a reader of each. The pieces of a source are needed in the
 * order in which they lie in it, so each source is read once, from the front to the back:
 *
 *   source A   | 1 | 1 | 2 | 3 |      merged   | 1 (A, B) | 2 (A) | 3 (A, B) |
 *   source B   | 1 | 3 |                                                          1, 2, 3: streams
 */
import { assert, CorruptData } from "../base/errors.ts";
import type { Offset, StreamId } from "../base/ids.ts";
import type { CommittedRange, Image } from "../metadata/image.ts";
import { type Merge, type MergePart, stillHeld } from "./merge-plan.ts";
import { checkSidecar, decodeBlock, type IndexedStream, type ObjectIndex, type PlacedBlock } from "./object-format.ts";
import type { ObjectRef } from "./object-io.ts";
import { type Piece, PieceReader } from "./piece-reader.ts";
import type { Batch } from "./storage.ts";

export interface MergeReads {
  index(object: ObjectRef): Promise<ObjectIndex>;
  get(object: string, start: number, end: number): Promise<Uint8Array>;
  readonly mergeMemoryBytesMax: number;
}

export interface OpenedPart extends MergePart {
  readonly from: Offset;
  readonly to: Offset;
  readonly epoch: number;
  readonly label: Uint8Array;
  readonly hasSidecar: boolean;
  /** Of the stream, when the part was opened: batches that end at or below it are left out. */
  readonly start: Offset;
}

/** undefined when nothing is left to merge: the image has moved on since the plan. */
export async function openMerge(planned: Merge, image: Image, reads: MergeReads): Promise<MergeInput | undefined> {
  const merge = stillHeld(planned, image);
  const refs = new Map<string, ObjectRef>(); // Before the first await: the image moves on.
  const starts = new Map<StreamId, Offset>();
  for (const { stream, sources } of merge.parts) {
    const info = image.stream(stream);
    assert(info !== undefined, "a stream that holds ranges");
    starts.set(stream, info.start);
    for (const { object } of sources) {
      const entry = image.object(object);
      assert(entry !== undefined, `the image names an object that it does not know: ${object}`);
      refs.set(object, entry);
    }
  }
  const indexes = new Map<string, ObjectIndex>();
  for (const [key, ref] of refs) indexes.set(key, await reads.index(ref));
  const parts = merge.parts.map((part) => openPart(part, starts.get(part.stream) as Offset, indexes));
  const isOneMoved = merge.kind === "stream" && parts[0]?.sources.length === 1 && merge.parts[0]?.sources.length !== 1;
  return parts.length === 0 || isOneMoved ? undefined : new MergeInput(parts, indexes, reads);
}

/**
 * A sidecar speaks up to the end of its range. So the part ends with a range that has one, or none of its ranges has: whichever
 * leaves more. What is left out is merged another time.
 */
function openPart(part: MergePart, start: Offset, indexes: ReadonlyMap<string, ObjectIndex>): OpenedPart {
  const entries = part.sources.map((source) => entryOf(source, indexes));
  const withSidecar = entries.findLastIndex(({ sidecar }) => sidecar !== undefined) + 1;
  const hasSidecar = 2 * withSidecar >= part.sources.length && withSidecar > 0;
  const sources = hasSidecar ? part.sources.slice(0, withSidecar) : part.sources.slice(withSidecar);
  const [first, last] = [sources[0], sources.at(-1)];
  assert(first !== undefined && last !== undefined, "a part has sources");
  const { label } = entryOf(last, indexes);
  return {
    stream: part.stream,
    sources,
    from: first.from,
    to: last.to,
    epoch: last.epoch,
    label,
    hasSidecar,
    start,
  };
}

function entryOf(source: CommittedRange, indexes: ReadonlyMap<string, ObjectIndex>): IndexedStream {
  const entry = indexes.get(source.object)?.stream(source.stream);
  if (entry !== undefined) return entry;
  return refuse(source, "the stream in the index", "others");
}

function refuse(source: CommittedRange, expected: string, found: unknown): never {
  const what = `${expected} for [${source.from}, ${source.to}) of stream ${source.stream}`;
  throw new CorruptData({ source: source.object, position: 0, expected: what, found: String(found) });
}

interface SidecarPiece extends Piece {
  readonly crc: number;
}

export class MergeInput {
  readonly parts: readonly OpenedPart[];
  readonly #blocks = new Map<string, PieceReader<PlacedBlock>>();
  readonly #sidecars = new Map<string, PieceReader<SidecarPiece>>();

  constructor(parts: readonly OpenedPart[], indexes: ReadonlyMap<string, ObjectIndex>, reads: MergeReads) {
    this.parts = parts;
    const requestBytesMax = Math.floor(reads.mergeMemoryBytesMax / indexes.size);
    for (const [key, index] of indexes) {
      const get = (start: number, end: number): Promise<Uint8Array> => reads.get(key, start, end);
      this.#blocks.set(key, new PieceReader({ pieces: blocksIn(key, index, parts), get, requestBytesMax }));
      this.#sidecars.set(key, new PieceReader({ pieces: sidecarsIn(key, index, parts), get, requestBytesMax }));
    }
  }

  /** Block by block. Throws CorruptData when they are not what the metadata says. Parts are asked for one after another, in their order. */
  async *batches(part: OpenedPart): AsyncIterable<readonly Batch[]> {
    for (const source of part.sources) {
      const reader = this.#blocks.get(source.object) as PieceReader<PlacedBlock>;
      let bytes = 0;
      for (let block = reader.next; block !== undefined && isIn(block, source); block = reader.next) {
        const batches = decodeBlock(await reader.take(), block, source.object);
        for (const batch of batches) bytes += batch.bytes.length;
        yield batches.filter(({ to }) => to > part.start);
      }
      if (part.start <= source.from && bytes !== source.bytes)
        refuse(source, `${source.bytes} bytes of batches`, bytes);
    }
  }

  /** When all parts have been asked for: no block is left behind. */
  requireTaken(): void {
    for (const [source, { next }] of this.#blocks) {
      if (next === undefined) continue;
      throw new CorruptData({
        source,
        position: next.position,
        expected: "blocks in the order of ranges",
        found: "another",
      });
    }
  }

  /** Of a part that has one. Asked for in the order of the parts. */
  async sidecar(part: OpenedPart): Promise<Uint8Array> {
    const { object } = part.sources.at(-1) as CommittedRange;
    const reader = this.#sidecars.get(object) as PieceReader<SidecarPiece>;
    const piece = reader.next as SidecarPiece;
    const bytes = await reader.take();
    checkSidecar(bytes, piece, object);
    return bytes;
  }
}

function* blocksIn(key: string, index: ObjectIndex, parts: readonly OpenedPart[]): Generator<PlacedBlock, undefined> {
  for (const { stream, sources, start } of parts) {
    for (const { object, from, to } of sources) {
      if (object !== key) continue;
      for (const block of index.blocks(stream, Math.max(from, start) as Offset)) {
        if (block.from >= to) break;
        yield block;
      }
    }
  }
}

function* sidecarsIn(
  key: string,
  index: ObjectIndex,
  parts: readonly OpenedPart[],
): Generator<SidecarPiece, undefined> {
  for (const { stream, sources, hasSidecar } of parts) {
    if (!hasSidecar || sources.at(-1)?.object !== key) continue;
    const sidecar = index.stream(stream)?.sidecar;
    assert(sidecar !== undefined, "the newest source of the part has a sidecar");
    yield sidecar;
  }
}

function isIn(block: PlacedBlock, range: CommittedRange): boolean {
  return block.stream === range.stream && block.from >= range.from && block.from < range.to;
}

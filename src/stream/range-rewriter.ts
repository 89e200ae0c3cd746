/**
 * Reads stored ranges past the caches, and puts a new object in their place:
 *
 *   batches ──▶ new object in the store ──▶ accepted by the metadata log ──▶ caches forget, what was replaced is garbage
 *                                     1                               2
 *
 * A crash before 1 or between 1 and 2 leaves an object that nobody names (garbage.ts). The fold accepts only if the stream
 * still holds just these ranges, so whatever else happened to the stream meanwhile stands.
 */
import { Gate } from "../base/async.ts";
import { assert, OperationFailed } from "../base/errors.ts";
import type { StreamId } from "../base/ids.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { ReplacingRange } from "../metadata/events.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { ReadLimits, UploadLimits } from "./limits.ts";
import { framedBytes, type IndexedBlock, ObjectEncoder, type ObjectOrigin } from "./object-format.ts";
import { ObjectIo, type ObjectRef } from "./object-io.ts";
import type { ObjectNames } from "./object-name.ts";
import { writeObject } from "./object-writer.ts";
import type { Batch, StoredRange } from "./storage.ts";

export interface RangeRewriterOptions {
  readonly store: ObjectStore;
  readonly metadata: MetadataClient;
  readonly origin: ObjectOrigin;
  readonly names: ObjectNames;
  readonly limits: RangeRewriterLimits;
}

type RangeRewriterLimits = Pick<UploadLimits, "uploadPartBytes" | "blockBytesMax"> &
  Pick<ReadLimits, "readRequestBytesMax">;

export interface RewrittenStream {
  readonly stream: StreamId;
  readonly label: Uint8Array;
}

export class RangeRewriter {
  readonly #options: RangeRewriterOptions;
  readonly #io: ObjectIo;
  readonly #gate = new Gate(1);
  /** Objects on their way, which garbage collection must not touch. */
  readonly #pending = new Set<string>();

  constructor(options: RangeRewriterOptions) {
    this.#options = options;
    // Who reads everything once needs no index again.
    this.#io = new ObjectIo({ store: options.store, indexCacheBytesMax: 0, readsInFlightMax: 1 });
  }

  isPending(key: string): boolean {
    return this.#pending.has(key);
  }

  async *scan(stream: StreamId, range: StoredRange): AsyncIterable<readonly Batch[]> {
    const object = this.#ref(range);
    const index = await this.#io.index(object);
    let request: IndexedBlock[] = [];
    let requestBytes = 0;
    for (const block of index.blocks(stream, range.from)) {
      if (block.from >= range.to) break;
      if (request.length > 0 && requestBytes + block.bytes > this.#options.limits.readRequestBytesMax) {
        for (const read of await this.#io.blocks(object, stream, request)) yield read.decode();
        request = [];
        requestBytes = 0;
      }
      request.push(block);
      requestBytes += block.bytes;
    }
    for (const read of await this.#io.blocks(object, stream, request)) yield read.decode();
  }

  async replace(
    { stream, label }: RewrittenStream,
    ranges: readonly StoredRange[],
    batches: AsyncIterable<Batch>,
  ): Promise<"replaced" | "stale"> {
    const { metadata, names, store, limits } = this.#options;
    const [first, last] = [ranges[0], ranges.at(-1)];
    assert(first !== undefined && last !== undefined, "something is replaced");
    const key = names.next();
    this.#pending.add(key);
    try {
      const { from } = first;
      const { to } = last;
      const sidecar = await this.#sidecar(stream, ranges);
      const epoch = metadata.image.stream(stream)?.epoch ?? 0;
      const written = { bytes: 0, maxTimestamp: -1 };
      const pieces = this.#pieces({ stream, epoch, from, to, label, sidecar }, batches, written);
      const expectedBytes = ranges.reduce((sum, range) => sum + range.bytes, 0);
      const { uploadPartBytes } = limits;
      const bytes = await writeObject(
        { key, bytes: expectedBytes, pieces },
        { store, gate: this.#gate, uploadPartBytes },
      );
      const replacing: ReplacingRange = { stream, from, to, ...written, replaces: ranges.map(({ object }) => object) };
      const proposal = await metadata.propose([
        { kind: "replace-ranges", object: key, bytes, objectKind: "stream", ranges: [replacing] },
      ]);
      if (proposal.kind === "accepted") return "replaced";
      await store.delete([key]); // No proposal that names it is under way, and none will be.
      return "stale";
    } finally {
      this.#pending.delete(key); // Had the proposal been in doubt, this process would not go on.
    }
  }

  async *#pieces(
    part: Parameters<ObjectEncoder["stream"]>[0] & { readonly sidecar: Uint8Array | undefined },
    batches: AsyncIterable<Batch>,
    written: { bytes: number; maxTimestamp: number },
  ): AsyncGenerator<readonly Uint8Array[], void> {
    const encoder = new ObjectEncoder();
    yield [encoder.header(this.#options.origin)];
    encoder.stream(part);
    let block: Batch[] = [];
    let blockBytes = 0;
    for await (const batch of batches) {
      const added = framedBytes(batch);
      if (block.length > 0 && blockBytes + added > this.#options.limits.blockBytesMax) {
        yield encoder.block(block);
        block = [];
        blockBytes = 0;
      }
      block.push(batch);
      blockBytes += added;
      written.bytes += batch.bytes.length;
      written.maxTimestamp = Math.max(written.maxTimestamp, batch.maxTimestamp);
    }
    if (block.length > 0) yield encoder.block(block);
    if (part.sidecar !== undefined) yield [encoder.sidecar(0, part.sidecar)];
    yield encoder.end();
  }

  /** The newest that the ranges carry: what it says of itself counts for its owner, not the range that it stands beside. */
  async #sidecar(stream: StreamId, ranges: readonly StoredRange[]): Promise<Uint8Array | undefined> {
    const refs = ranges.map((range) => this.#ref(range)); // Before the first await: the image moves on.
    for (const ref of refs.toReversed()) {
      const found = await this.#io.sidecar(ref, stream);
      if (found !== undefined) return found.bytes;
    }
    return undefined;
  }

  #ref({ object, from, to }: StoredRange): ObjectRef {
    const entry = this.#options.metadata.image.object(object);
    if (entry !== undefined) return entry;
    throw new OperationFailed(`[${from}, ${to}) is not stored in ${object} any more`, { happened: "no" });
  }
}

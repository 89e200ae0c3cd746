/**
 * One node takes over what another wrote into the object store, be that node dead, asleep or alive:
 *
 *   1 fence   the log refuses whatever the other proposes from now on
 *   2 seal    its WAL ends: a slot that it still writes finds the seal in its place, so it acks nothing more
 *   3 commit  what it acked, and no object held, becomes objects: its slots as they are
 *   4 open    its streams get a new epoch and a new writer, in one group with the last commit
 *
 * No step trusts a clock. A crash of the taker after any of them leaves a node that can be taken over again, by anyone; and of
 * two takers one is refused, as each group fences the other node once more, at the epoch that this taker's fence gave it.
 */
import { assert, OperationFailed } from "../base/errors.ts";
import type { NodeEpoch, NodeId, Offset, StreamId } from "../base/ids.ts";
import type { MetadataClient, Proposal } from "../metadata/client.ts";
import type { MetadataEvent } from "../metadata/events.ts";
import type { Image, WalInfo } from "../metadata/image.ts";
import { bodyBytes } from "../object-store/body.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { encodeObject, type StreamPart } from "./object-format.ts";
import { ObjectNames } from "./object-name.ts";
import { type PersistOptions, persist } from "./persist.ts";
import { judge } from "./recovery.ts";
import { recoverSlots } from "./slot-recovery.ts";
import { commitEvents, rangeOf, type UploadedObject } from "./upload-plan.ts";

export interface TakeoverOptions extends PersistOptions {
  /** Whose streams are taken. */
  readonly node: NodeId;
  readonly metadata: MetadataClient;
  readonly store: ObjectStore;
  readonly limits: PersistOptions["limits"] & {
    /** Ranges that are committed in one group. */
    readonly takeoverRangesMax: number;
    readonly blockBytesMax: number;
  };
}

export type Takeover =
  /** This node is their writer now. */
  | { readonly kind: "taken"; readonly streams: readonly StreamId[]; readonly slots: number }
  /** The log does not know the node, or it keeps its WAL where nobody else can read it. */
  | { readonly kind: "out-of-reach" }
  /** Another has taken it over meanwhile, or the node has started anew. */
  | { readonly kind: "outrun" };

export async function takeOver(options: TakeoverOptions): Promise<Takeover> {
  const { node, metadata, logger } = options;
  const before = metadata.image.node(node);
  if (before === undefined || metadata.image.wals(node).length === 0) return { kind: "out-of-reach" };
  const fenced = await metadata.propose([{ kind: "fence-node", nodeId: node, epoch: before.epoch }]);
  if (fenced.kind === "refused") return { kind: "outrun" };
  const found = await sealAll(options);
  const taking = new Taking(options, epochOf(fenced));
  let open: readonly CommittableSlot[] = [];
  for (const slot of found.slots) {
    const ranges = [...open, slot].reduce((sum, { object }) => sum + object.ranges.length, 0);
    if (open.length > 0 && ranges > options.limits.takeoverRangesMax) {
      if (!(await taking.commit(open, open.at(-1)?.next as WalMark, false))) return { kind: "outrun" };
      open = [];
    }
    open = [...open, slot];
  }
  if (!(await taking.commit(open, found.end, true))) return { kind: "outrun" };
  logger.info("took over a node", { node, slots: found.slots.length, streams: taking.opened.length });
  return { kind: "taken", streams: taking.opened, slots: found.slots.length };
}

/** The first slot that is needed. */
interface WalMark {
  readonly epoch: NodeEpoch;
  readonly slot: number;
}

interface CommittableSlot {
  readonly object: UploadedObject;
  /** After this one. */
  readonly next: WalMark;
}

/** Ends every WAL of the node, and returns what they held. Throws CorruptData when something acked is missing. */
async function sealAll(
  options: TakeoverOptions,
): Promise<{ readonly slots: readonly CommittableSlot[]; readonly end: WalMark }> {
  const { node, metadata } = options;
  const { clusterId: cluster } = metadata.image;
  const origin = { cluster, node: metadata.nodeId, nodeEpoch: metadata.nodeEpoch };
  const slots: CommittableSlot[] = [];
  const begun: { readonly at: number; readonly parts: readonly StreamPart[] }[] = [];
  const ends = new Map<StreamId, Offset>();
  let end: WalMark | undefined;
  const wals: readonly WalInfo[] = metadata.image.wals(node);
  for (const wal of wals) {
    const { sealedAt } = await recoverSlots({ ...options, origin, wal }, ({ head, object, parts, records }) => {
      for (const record of records) {
        const verdict = judge(record, metadata.image.stream(record.stream), node, ends.get(record.stream));
        if (verdict.kind === "keep") ends.set(record.stream, record.to);
      }
      const left = parts.map((part) => leftOf(part, metadata.image));
      if (parts.some(({ from }, i) => left[i] !== undefined && left[i]?.from !== from))
        begun.push({ at: slots.length, parts: left.filter((part) => part !== undefined) });
      slots.push({ object, next: { epoch: head.epoch, slot: head.seq + 1 } });
    });
    end = { epoch: wal.epoch, slot: sealedAt };
  }
  assert(end !== undefined, "a node with a WAL has an end of it");
  const names = new ObjectNames(origin, options.runtime.random);
  for (const { at, parts } of begun) {
    const object = await upload(
      options,
      names.next(),
      encodeObject(origin, parts, options.limits.blockBytesMax),
      parts,
    );
    slots[at] = { ...(slots[at] as CommittableSlot), object };
  }
  return { slots, end };
}

/**
 * What no object holds of the part; undefined when that is nothing. Where the WAL is one of two, uploads end where they like, and
 * may end within a slot: then its rest becomes an object of its own.
 */
function leftOf(part: StreamPart, image: Image): StreamPart | undefined {
  const end = image.stream(part.stream)?.end;
  if (end === undefined || part.to <= end) return undefined;
  if (part.from >= end) return part;
  return { ...part, from: end, batches: part.batches.filter(({ to }) => to > end) };
}

async function upload(
  options: TakeoverOptions,
  key: string,
  pieces: Iterable<readonly Uint8Array[]>,
  parts: readonly StreamPart[],
): Promise<UploadedObject> {
  const views = [...pieces].flat();
  await persist(`upload ${key}`, () => options.store.putIfAbsent(key, views), options); // "exists" is this same call, heard late.
  return { key, bytes: bodyBytes(views), kind: "stream-set", ranges: parts.map(rangeOf) };
}

/** Commits in groups, each of which stands only while nobody else has fenced the node. */
class Taking {
  opened: readonly StreamId[] = [];
  readonly #options: TakeoverOptions;
  /** What our last fence made the node's epoch. */
  #epoch: NodeEpoch;

  constructor(options: TakeoverOptions, epoch: NodeEpoch) {
    this.#options = options;
    this.#epoch = epoch;
  }

  /** False when another was faster. */
  async commit(slots: readonly CommittableSlot[], mark: WalMark, isLast: boolean): Promise<boolean> {
    const { metadata, logger, node } = this.#options;
    for (let refused = ""; ; ) {
      if (metadata.image.node(node)?.epoch !== this.#epoch) return false;
      const events = this.#events(slots, mark, isLast);
      const plan = JSON.stringify(events);
      if (plan === refused) throw new OperationFailed("the metadata log refuses a takeover", { happened: "no" });
      const proposal = await metadata.propose(events);
      if (proposal.kind === "accepted") {
        this.#epoch = epochOf(proposal);
        return true;
      }
      // Another fenced the node, or a topic was deleted meanwhile: the image says so by now.
      logger.warn("the metadata log refused a takeover", { refusal: proposal.refusal });
      refused = plan;
    }
  }

  #events(slots: readonly CommittableSlot[], mark: WalMark, isLast: boolean): readonly MetadataEvent[] {
    const { metadata, node } = this.#options;
    const { image } = metadata;
    const objects = slots.map(({ object }) => object);
    const events: MetadataEvent[] = [
      { kind: "fence-node", nodeId: node, epoch: this.#epoch },
      ...commitEvents(objects, image, node),
      { kind: "advance-wal", nodeId: node, ...mark },
    ];
    if (!isLast) return events;
    this.opened = [...image.streams()].filter((stream) => stream.node === node).map(({ id }) => id);
    return this.opened.length === 0 ? events : [...events, { kind: "open-streams", streams: this.opened }];
  }
}

/** A fence makes its own seq the node's epoch. */
function epochOf(proposal: Proposal): NodeEpoch {
  assert(proposal.kind === "accepted", "the fence was accepted");
  return proposal.seq as number as NodeEpoch;
}

/**
 * Brings an image up to what the objects of a bucket say, where the metadata that named them was lost: topics that are not
 * in the image, and the ranges that follow on what it holds of each stream. Changes nothing but the image, by the same fold
 * as any proposal.
 *
 * What was deleted stays gone: a stream id below those that the image has yet to give out, and not in it, was deleted;
 * a range below a stream's end was there before, and is trimmed or held by another object. Of ranges that overlap, as a writer
 * leaves them that crashed between upload and commit, the one of the newer epoch counts, then the longer one.
 */
import { assert } from "../base/errors.ts";
import { type NodeEpoch, type NodeId, type Seq, type StreamId, type Uuid, uuidRandom } from "../base/ids.ts";
import type { Random } from "../base/runtime.ts";
import { chained } from "../metadata/entry-format.ts";
import { encodeGroups } from "../metadata/event-codec.ts";
import type { MetadataEvent } from "../metadata/events.ts";
import { fold } from "../metadata/fold.ts";
import type { ImageState } from "../metadata/image-state.ts";
import type { SalvagedObject, SalvagedRange } from "../stream/salvage.ts";
import { slotOfKey } from "../stream/slot-format.ts";
import { decodeStreamLabel } from "./stream-label.ts";

export interface Adoption {
  /** Objects that the image names now. */
  readonly adopted: readonly string[];
  /** Topics that only their objects knew: without configs, and with as many partitions as objects tell of. */
  readonly topicsMade: readonly string[];
  /** Ranges that do not follow on what is there: something before them is lost. */
  readonly gaps: readonly {
    readonly key: string;
    readonly stream: StreamId;
    readonly from: number;
    readonly end: number;
  }[];
}

export function adoptObjects(image: ImageState, found: readonly SalvagedObject[], random: Random): Adoption {
  const objects = inOrder(found.filter(({ cluster }) => cluster === image.clusterId));
  const folding = new Folding(image, random);
  const topicsMade = makeTopics(folding, objects);
  const wins = winners(objects);
  const adopted: string[] = [];
  // All that an object adds must follow on what is there; when no object is left of which this is true, a part is better.
  for (const needsAll of [true, false]) {
    for (let before = -1; before < adopted.length; ) {
      before = adopted.length;
      for (const object of objects) {
        if (image.object(object.key) !== undefined) continue;
        const live = object.ranges.filter((range) => isLive(image, range) && wins(range));
        const next = live.filter(({ stream, from }) => image.stream(stream)?.end === from);
        if (next.length === 0 || (needsAll && next.length < live.length)) continue;
        commit(folding, object, next);
        adopted.push(object.key);
      }
    }
  }
  const gaps = objects
    .filter(({ key }) => image.object(key) === undefined)
    .flatMap(({ key, ranges }) =>
      ranges
        .filter((range) => isLive(image, range) && wins(range))
        .map(({ stream, from }) => ({ key, stream, from, end: image.stream(stream)?.end ?? 0 })),
    );
  return { adopted, topicsMade, gaps };
}

/**
 * Of the WALs in the bucket (`keys` are all that it holds), what is before the first slot that is there was trimmed after the
 * image's last entry: a recovery must not call it lost.
 */
export function advanceWals(image: ImageState, keys: Iterable<string>, random: Random): void {
  const folding = new Folding(image, random);
  const slots = [...keys].map(slotOfKey).filter((slot) => slot !== undefined);
  for (const { id } of image.nodes()) {
    for (const wal of image.wals(id)) {
      const present = slots.filter(({ node, epoch }) => node === id && epoch === wal.epoch).map(({ seq }) => seq);
      const slot = Math.min(...present.filter((seq) => seq >= wal.slot));
      if (slot === wal.slot || !Number.isFinite(slot)) continue;
      folding.apply(id, [{ kind: "advance-wal", nodeId: id, epoch: wal.epoch, slot }]);
    }
  }
}

/** Whether the range is of a stream that is there, and ends behind what is known of it. */
function isLive(image: ImageState, { stream, from, to }: SalvagedRange): boolean {
  const state = image.stream(stream);
  return state !== undefined && to > Math.max(state.end, state.start) && to > from;
}

/** Older writers first, and of one the objects as it made them. */
function inOrder(objects: readonly SalvagedObject[]): readonly SalvagedObject[] {
  const counter = ({ key }: SalvagedObject): number => Number(/\d+$/.exec(key)?.[0] ?? 0);
  return objects.toSorted((a, b) => a.nodeEpoch - b.nodeEpoch || counter(a) - counter(b));
}

/** Tells whether no other range takes this one's place. */
function winners(objects: readonly SalvagedObject[]): (range: SalvagedRange) => boolean {
  const byStream = Map.groupBy(
    objects.flatMap(({ ranges }) => ranges),
    ({ stream }) => stream,
  );
  return (range) =>
    !(byStream.get(range.stream) ?? []).some((other) => {
      const overlaps = other.from < range.to && range.from < other.to;
      return overlaps && (other.epoch > range.epoch || (other.epoch === range.epoch && other.to > range.to));
    });
}

/** Topics and partitions whose streams were given out after the image's last entry, in the order of their streams. */
function makeTopics(folding: Folding, objects: readonly SalvagedObject[]): readonly string[] {
  const { image } = folding;
  const labels = new Map<StreamId, { readonly label: Uint8Array; readonly object: SalvagedObject }>();
  for (const object of objects)
    for (const { stream, label } of object.ranges)
      if (stream >= image.nextStreamId) labels.set(stream, { label, object });
  const made = new Set<string>();
  for (const [stream, { label, object }] of [...labels].sort(([a], [b]) => a - b)) {
    const { topicId, partition, topic: name } = decodeStreamLabel(label);
    const topic = image.topic(topicId);
    if (topic?.partitions[partition] !== undefined) continue; // Made with a partition before it.
    const present = topic?.partitions.length ?? 0;
    const first = stream - (partition - present);
    if (first < image.nextStreamId) continue; // Its ids cannot have been given out like this: its ranges are not adopted.
    image.nextStreamId = first; // Ids in between were of topics that no object tells of.
    folding.apply(
      object.node,
      topic === undefined
        ? topicEvents(image, topicId, name, partition + 1)
        : [{ kind: "create-partitions", topicId, partitions: partition + 1 }],
    );
    made.add(name);
  }
  return [...made];
}

/** A name can have been given again only after the topic that had it was deleted. */
function topicEvents(image: ImageState, topicId: Uuid, name: string, partitions: number): readonly MetadataEvent[] {
  const before = image.topicByName(name);
  const create = { kind: "create-topic", topicId, name, partitions, configs: new Map<string, string>() } as const;
  return before === undefined ? [create] : [{ kind: "delete-topic", topicId: before.id }, create];
}

/** Epochs of streams never go back: they are what clients know leaders by. */
function commit(folding: Folding, object: SalvagedObject, ranges: readonly SalvagedRange[]): void {
  const { image } = folding;
  for (const { stream, epoch } of ranges) {
    if ((image.stream(stream)?.epoch ?? 0) < epoch) folding.fenceWriterOf(stream, object.node);
    for (let at = image.stream(stream)?.epoch ?? 0; at < epoch; at++)
      folding.apply(object.node, [{ kind: "open-streams", streams: [stream] }]);
  }
  const objectKind = object.ranges.length === 1 ? "stream" : "stream-set";
  const committed = ranges.map(({ stream, from, to, bytes, maxTimestamp }) => {
    const epoch = image.stream(stream)?.epoch ?? 0;
    return { stream, epoch, from, to, bytes, maxTimestamp };
  });
  folding.apply(object.node, [
    { kind: "commit-object", object: object.key, bytes: object.bytes, objectKind, ranges: committed },
  ]);
}

/** Entries that were in no log, folded as if they had been. */
class Folding {
  readonly image: ImageState;
  readonly #random: Random;

  constructor(image: ImageState, random: Random) {
    this.image = image;
    this.#random = random;
  }

  apply(node: NodeId, events: readonly MetadataEvent[]): void {
    if (this.image.node(node) === undefined) this.#register(node);
    this.#fold(node, this.image.node(node)?.epoch as NodeEpoch, events);
  }

  /** As whoever took the stream from another had done. */
  fenceWriterOf(stream: StreamId, node: NodeId): void {
    const before = this.image.stream(stream)?.node;
    const epoch = before === undefined ? undefined : this.image.node(before)?.epoch;
    if (before === undefined || before === node || epoch === undefined) return;
    this.apply(node, [{ kind: "fence-node", nodeId: before, epoch }]);
  }

  /** A node that registered after the image's last entry: it will say itself where it is when it starts. */
  #register(nodeId: NodeId): void {
    const incarnation = uuidRandom(this.#random);
    const event = { kind: "register-node", nodeId, incarnation, host: "", port: 0, rack: null } as const;
    this.#fold(nodeId, 0 as NodeEpoch, [event]);
  }

  #fold(nodeId: NodeId, nodeEpoch: NodeEpoch, events: readonly MetadataEvent[]): void {
    const { image } = this;
    const opId = image.seq === 0 ? image.clusterId : uuidRandom(this.#random); // The first names the cluster.
    const entry = { nodeId, nodeEpoch, opId, events: encodeGroups([events]) };
    const refusal = fold(image, chained(entry, (image.seq + 1) as Seq, image.hash))?.decision.refusals[0];
    assert(refusal === null, `what was found in the bucket is accepted: ${JSON.stringify(refusal)}`);
  }
}

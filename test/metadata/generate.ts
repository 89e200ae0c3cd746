/** Random histories for the laws of the fold: mostly sensible proposals, some that must be refused. */
import { factTables } from "../../schemas/storage.ts";
import type { NodeEpoch, NodeId, Offset, Seq, Uuid } from "../../src/base/ids.ts";
import { uuidRandom } from "../../src/base/ids.ts";
import type { LogEntry, StoredEntry } from "../../src/metadata/cas-log.ts";
import { encodeImage } from "../../src/metadata/checkpoint.ts";
import { chained } from "../../src/metadata/entry-format.ts";
import { encodeGroups } from "../../src/metadata/event-codec.ts";
import type { MetadataEvent, ObjectRange, ReplacingRange, TableRange } from "../../src/metadata/events.ts";
import { type Folded, fold } from "../../src/metadata/fold.ts";
import { ImageState, type StreamState, type TableState } from "../../src/metadata/image-state.ts";
import type { RangeRow } from "../../src/metadata/packed-range.ts";
import type { SimRandom } from "../sim/random.ts";

/** A cluster's log and the image that follows it, driven by hand. */
export class Cluster {
  readonly image = new ImageState();
  readonly entries: StoredEntry[] = [];
  readonly #random: SimRandom;

  constructor(random: SimRandom) {
    this.#random = random;
  }

  epochOf(node: number): NodeEpoch {
    return this.image.nodeStates.get(node as NodeId)?.epoch ?? (0 as NodeEpoch);
  }

  register(node: number): Folded {
    const event = { nodeId: node as NodeId, incarnation: uuidRandom(this.#random), host: "h", port: 9092, rack: null };
    return this.append({ nodeId: node, nodeEpoch: 0 }, [[{ kind: "register-node", ...event }]]);
  }

  propose(node: number, ...groups: readonly (readonly MetadataEvent[])[]): Folded {
    return this.append({ nodeId: node, nodeEpoch: this.epochOf(node) }, groups);
  }

  append(
    by: { readonly nodeId: number; readonly nodeEpoch: number; readonly opId?: Uuid },
    groups: readonly (readonly MetadataEvent[])[],
  ): Folded {
    const opId = by.opId ?? uuidRandom(this.#random);
    return this.store({
      nodeId: by.nodeId as NodeId,
      nodeEpoch: by.nodeEpoch as NodeEpoch,
      opId,
      events: encodeGroups(groups),
    });
  }

  /** Puts an entry into the log, whatever it is, and folds it. */
  store(entry: LogEntry): Folded {
    const stored = chained(entry, (this.image.seq + 1) as Seq, this.image.hash);
    this.entries.push(stored);
    return fold(this.image, stored) as Folded;
  }
}

export function imageBytes(image: ImageState): Buffer {
  return Buffer.concat([...encodeImage(image)].flat());
}

/** One plausible proposal for the image as it is. */
export function randomGroup(random: SimRandom, image: ImageState): readonly MetadataEvent[] {
  return Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, () => randomEvent(random, image));
}

function randomEvent(random: SimRandom, image: ImageState): MetadataEvent {
  const make = random.pick([
    nodeEvent,
    topicEvent,
    streamEvent,
    streamEvent,
    streamEvent,
    tableEvent,
    tableEvent,
    catalogEvent,
  ]);
  return make(random, image) ?? { kind: "allocate-producer-ids", count: random.below(100) - 5 };
}

function nodeEvent(random: SimRandom, image: ImageState): MetadataEvent | undefined {
  const node = random.pick([undefined, ...image.nodeStates.values()]);
  if (node === undefined) return undefined;
  const { id: nodeId, epoch, wals } = node;
  const wal = random.pick([undefined, ...wals]);
  return random.pick([
    { kind: "open-wal", slotsInFlightMax: random.below(4) },
    { kind: "advance-wal", nodeId, epoch: wal?.epoch ?? epoch, slot: (wal?.slot ?? 0) + random.below(5) - 1 },
    // Now and then only: whoever is fenced proposes nothing more.
    { kind: "unregister-node", nodeId, epoch: random.chance(0.1) ? epoch : ((epoch - 1) as NodeEpoch) },
    { kind: "fence-node", nodeId, epoch: random.chance(0.1) ? epoch : ((epoch - 1) as NodeEpoch) },
  ] as const);
}

function topicEvent(random: SimRandom, image: ImageState): MetadataEvent | undefined {
  const topic = random.pick([undefined, ...image.topicsById.values()]);
  const configs = new Map([["retention.ms", String(random.below(9))]]);
  if (topic === undefined || random.chance(0.3)) {
    const name = `topic-${random.below(6)}`;
    return { kind: "create-topic", topicId: uuidRandom(random), name, partitions: random.below(5), configs };
  }
  return random.pick([
    { kind: "delete-topic", topicId: topic.id },
    { kind: "create-partitions", topicId: topic.id, partitions: random.below(8) },
    { kind: "set-topic-configs", topicId: topic.id, configs },
    { kind: "set-broker-configs", nodeId: random.pick([null, 1 as NodeId]), configs },
  ] as const);
}

function streamEvent(random: SimRandom, image: ImageState): MetadataEvent | undefined {
  const streams = [...image.streamStates.values()];
  if (streams.length === 0) return undefined;
  const some = streams.filter(() => random.chance(0.5));
  switch (random.below(7)) {
    case 0:
      return { kind: "open-streams", streams: some.map(({ id }) => id) };
    case 1:
    case 2: {
      const ranges = some.flatMap(({ id, end, epoch }): ObjectRange[] => {
        const from = (end + random.pick([0, 0, 0, 0, 0, 2, -1])) as Offset;
        const to = (from + random.below(20)) as Offset;
        const bytes = random.below(1000);
        const range = { stream: id, epoch: epoch - (random.chance(0.03) ? 1 : 0), bytes, maxTimestamp: bytes - 1 };
        const second = { ...range, from: to, to: (to + 3) as Offset };
        return [{ ...range, from, to }, ...(random.chance(0.2) ? [second] : [])];
      });
      const object = `objects/${random.below(1000)}`;
      return { kind: "commit-object", object, bytes: 1 + random.below(5000), objectKind: "stream-set", ranges };
    }
    case 3:
      return {
        kind: "trim-streams",
        streams: some.map(({ id, start, end }) => ({
          stream: id,
          start: (start + random.below(end - start + 3)) as Offset,
        })),
      };
    case 4:
    case 5:
      return replaceRanges(random, image, some);
    default: {
      const objects = [...image.unreferenced()].map(({ object }) => object).filter(() => random.chance(0.7));
      if (random.chance(0.1)) objects.push([...image.objects()][0]?.key ?? "none");
      return { kind: "objects-deleted", objects };
    }
  }
}

/** Some neighbouring ranges of each stream, and sometimes not what the stream holds. */
function replaceRanges(
  random: SimRandom,
  image: ImageState,
  streams: readonly StreamState[],
): MetadataEvent | undefined {
  const node = streams[0]?.node;
  const ranges = streams.flatMap(({ id, ranges, ...stream }): ReplacingRange[] => {
    if (ranges.length === 0 || (stream.node !== node && random.chance(0.97))) return [];
    const first = random.below(ranges.length);
    const last = first + random.below(ranges.length - first);
    const rows = ranges.rows(first, last - first + 1);
    const replaces = rows.map(({ object }) => (random.chance(0.02) ? "objects/other" : image.objectTable.key(object)));
    const { from } = rows[0] as RangeRow;
    const { to } = rows.at(-1) as RangeRow;
    return [{ stream: id, from, to, bytes: random.below(1000), maxTimestamp: random.below(9), replaces }];
  });
  if (ranges.length === 0) return undefined;
  const object = `objects/${random.below(1000)}`;
  return { kind: "replace-ranges", object, bytes: 1 + random.below(5000), objectKind: "stream", ranges };
}

/** Of a pending round where there is one, and sometimes with ranges that are not its own. */
function replacement(table: TableState, random: SimRandom) {
  const pending = random.pick([undefined, ...table.pending]);
  const { ranges = [] } = pending ?? {};
  return {
    seq: pending?.seq ?? (1 as Seq),
    schemaId: 2,
    specId: 0,
    mappingVersion: 2,
    ranges: random.chance(0.9) ? ranges : ranges.slice(1),
    main: { location: "s3://b/again.avro", bytes: 10, rows: random.below(100) },
    deadLetters: null,
    deletes: random.chance(0.3) ? { location: "s3://b/deletes.avro", bytes: 10, rows: random.below(100) } : null,
  };
}

function tableEvent(random: SimRandom, image: ImageState): MetadataEvent | undefined {
  const table = random.pick([undefined, ...image.tableStates.values()]);
  if (table === undefined) {
    const topic = random.pick([undefined, ...image.topicsById.values()]);
    if (topic === undefined) return undefined;
    const name = `${topic.name}__g${random.below(3)}`;
    return { kind: "create-table", table: uuidRandom(random), topicId: topic.id, generation: 1, catalog: "c", name };
  }
  const upTo = random.pick([...table.pending.map(({ seq }) => seq), 1 as Seq]);
  const lane = random.pick(["live", "live", "backfill"]);
  const ranges = [0, 1, 2].flatMap((partition): TableRange[] => {
    const from = (table.lanes.get(lane)?.get(partition) ?? random.below(3)) as Offset;
    const to = (from + random.below(10)) as Offset;
    return random.chance(0.6)
      ? [{ partition, from: (from + (random.chance(0.1) ? 1 : 0)) as Offset, to, skips: 0 }]
      : [];
  });
  const main = random.chance(0.8) ? { location: "s3://b/m.avro", bytes: 10, rows: random.below(100) } : null;
  const deletes = random.chance(0.3) ? { location: "s3://b/d.avro", bytes: 10, rows: random.below(100) } : null;
  const round = { lane, schemaId: 1, specId: 0, mappingVersion: 1, ranges, main, deadLetters: null, deletes };
  return random.pick<MetadataEvent>([
    { kind: "add-table-round", table: table.id, generation: 1, ...round },
    { kind: "add-table-round", table: table.id, generation: 1, ...round },
    { kind: "replace-table-round", table: table.id, ...replacement(table, random) },
    { kind: "table-rounds-committed", table: table.id, upTo, snapshotId: random.pick([null, 2n ** 62n, -5n]) },
    {
      kind: "table-schema",
      table: table.id,
      expectedVersion: table.schemaVersion,
      schema: random.fill(new Uint8Array(9)),
    },
    { kind: "table-state", table: table.id, state: random.pick(["running", "paused", "diverged"]), reason: "why" },
  ]);
}

function catalogEvent(random: SimRandom, image: ImageState): MetadataEvent {
  const namespace = `n${random.below(3)}`;
  const pointers = Array.from({ length: random.below(3) }, () => {
    const table = `t${random.below(3)}`;
    const expected = random.chance(0.8) ? (image.tablePointer(namespace, table) ?? null) : "s3://other";
    return { namespace, table, expected, location: random.pick([null, `s3://v${random.below(100)}`]) };
  });
  return random.pick<MetadataEvent>([
    { kind: "put-namespace", namespace, properties: new Map([["k", "v"]]), mustBeNew: random.chance(0.5) },
    { kind: "drop-namespace", namespace },
    {
      kind: "set-facts",
      facts: Array.from({ length: random.below(3) }, () => ({
        table: random.pick(factTables),
        key: `k${random.below(3)}`,
        value: random.pick([null, `v${random.below(9)}`]),
      })),
    },
    { kind: "move-table-pointers", pointers },
    { kind: "move-table-pointers", pointers },
  ]);
}

/** A history of some nodes, one of which is replaced now and then. */
export function randomHistory(random: SimRandom, length: number): Cluster {
  const cluster = new Cluster(random);
  for (const node of [1, 2, 3]) cluster.register(node);
  let last: StoredEntry | undefined;
  while (cluster.entries.length < length) {
    const node = 1 + random.below(3);
    if (random.chance(0.03)) cluster.register(node);
    else if (random.chance(0.05) && last !== undefined)
      cluster.store(last); // A repeat that the store let through.
    else {
      const stale = random.chance(0.05) ? 1 : 0;
      const groups = Array.from({ length: 1 + random.below(3) }, () => randomGroup(random, cluster.image));
      cluster.append({ nodeId: node, nodeEpoch: cluster.epochOf(node) - stale }, groups);
      last = cluster.entries.at(-1);
    }
  }
  return cluster;
}

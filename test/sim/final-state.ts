/** Reads all that a healed broker holds: its log, its groups, its objects, its table. */
import { sleep } from "../../src/base/async.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { isOrphanSlot } from "../../src/stream/garbage.ts";
import { objectPrefix } from "../../src/stream/object-name.ts";
import { slotPrefix } from "../../src/stream/slot-format.ts";
import { type ActorWorld, nameOf, type TopicPartition } from "./actor.ts";
import { flush } from "./administrator.ts";
import { Client, type ClientWorld } from "./client.ts";
import { committedOffsets } from "./consumer.ts";
import type { FinalState, PartitionName, SeenRecord } from "./history.ts";
import { type SimNode, tableTopics } from "./node.ts";
import { Reader } from "./reader.ts";
import { readTableRows } from "./table-rows.ts";

export interface EndWorld {
  readonly actors: ActorWorld;
  readonly clients: ClientWorld;
  readonly partitions: readonly TopicPartition[];
  readonly groups: readonly string[];
  readonly retained: ReadonlySet<PartitionName>;
  readonly compacted: ReadonlySet<PartitionName>;
  readonly objects: ObjectStore;
  readonly lake: ObjectStore;
}

export async function readFinalState(world: EndWorld): Promise<FinalState> {
  const { actors, clients, partitions } = world;
  const logs = await readLogs(world);
  for (const group of world.groups) await committedOffsets(actors, new Client(clients, group), partitions);
  for (const topic of tableTopics) await flushed(world, topic);
  const node = clients.node() as SimNode;
  return {
    logs,
    topics: new Set([...node.core.metadata.image.topics()].map(({ name }) => name)),
    retained: world.retained,
    compacted: world.compacted,
    objects: await compareObjects(node, world.objects, clients),
    table: {
      partitions: partitions.filter(({ topic }) => tableTopics.some((each) => each === topic)).map(nameOf),
      committedTo: new Map(actors.history.flushes.flatMap(({ committedTo }) => [...committedTo])),
      rows: await readTableRows(node, world.lake),
    },
  };
}

/** Until it succeeds: whoever waits gives up. */
async function flushed({ actors, clients }: EndWorld, topic: string): Promise<void> {
  for (let problem = await flush(actors, topic); problem !== undefined; ) {
    clients.clock.trace(`flush: ${problem}`);
    await sleep(clients.clock, 500);
    problem = await flush(actors, topic);
  }
}

async function readLogs({ actors, clients, partitions }: EndWorld): Promise<FinalState["logs"]> {
  const client = new Client(clients, "last-reader");
  const reader = new Reader(actors, client, partitions);
  const records = new Map<PartitionName, SeenRecord[]>(partitions.map((each) => [nameOf(each), []]));
  const isDone = (name: PartitionName): boolean => reader.positions.get(name) === reader.highWatermarks.get(name);
  while (![...records.keys()].every(isDone)) {
    for (const [name, found] of await reader.poll()) records.get(name)?.push(...found);
    await client.pause(10);
  }
  return new Map(
    [...records].map(([name, found]) => {
      const logStart = reader.logStarts.get(name) ?? 0;
      const highWatermark = reader.highWatermarks.get(name) ?? 0;
      return [name, { logStart, highWatermark, records: found }];
    }),
  );
}

/**
 * Every object that the metadata names is there as it says, and no other is left but what the WAL keeps: not even after a
 * while, if one was being made.
 */
async function compareObjects(
  node: SimNode,
  store: ObjectStore,
  { clock }: ClientWorld,
): Promise<FinalState["objects"]> {
  const first = await lookAtObjects(node, store);
  if (first.missing.length + first.unknown.length === 0) return first;
  await sleep(clock, objectInMakingMsMax);
  const second = await lookAtObjects(node, store);
  return {
    missing: second.missing.filter((object) => first.missing.includes(object)),
    unknown: second.unknown.filter((object) => first.unknown.includes(object)),
  };
}

/** From the store's answer to the metadata log's, when nothing is wrong. */
const objectInMakingMsMax = 1_000;

async function lookAtObjects(node: SimNode, store: ObjectStore): Promise<FinalState["objects"]> {
  const stored = new Map<string, number>();
  const { image } = node.core.metadata;
  for await (const { key, size } of store.list(objectPrefix)) stored.set(key, size);
  for await (const object of store.list(slotPrefix)) {
    if (image.object(object.key) !== undefined || isOrphanSlot(object, image)) stored.set(object.key, object.size);
  }
  const missing: string[] = [];
  for (const { key, bytes } of image.objects()) {
    if (stored.get(key) !== bytes) missing.push(`${key}: ${bytes} bytes, stored ${stored.get(key)}`);
    stored.delete(key);
  }
  return { missing, unknown: [...stored.keys()] };
}

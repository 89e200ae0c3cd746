/** A consumer group of the simulated broker, with one member that assigns itself everything. */
import { uuidZero } from "../../src/base/ids.ts";
import { type ActorWorld, errorText, nameOf, type TopicPartition } from "./actor.ts";
import type { Client } from "./client.ts";
import type { History, PartitionName } from "./history.ts";
import { Reader } from "./reader.ts";

/** A group of one: reads, commits where it is, and now and then dies and begins where it had committed. */
export async function consume(world: ActorWorld, client: Client, partitions: readonly TopicPartition[]): Promise<void> {
  while (world.isBusy()) {
    const reader = new Reader(world, client, partitions);
    const committed = await committedOffsets(world, client, partitions);
    for (const [name, offset] of committed) if (offset >= 0) reader.positions.set(name, offset);
    while (world.isBusy() && client.random.chance(0.98)) {
      await reader.poll();
      if (client.random.chance(0.3)) await commit(world, client, partitions, reader.positions);
      await client.pause(client.random.pick([5, 100]));
    }
  }
}

async function commit(
  world: ActorWorld,
  client: Client,
  partitions: readonly TopicPartition[],
  positions: ReadonlyMap<PartitionName, number>,
): Promise<void> {
  const { history } = world;
  const place = client.random.pick(partitions);
  const partition = nameOf(place);
  const offset = positions.get(partition) ?? 0;
  const entry: History["groupOffsets"][number] = {
    group: client.id,
    partition,
    offset,
    outcome: "unknown",
    begun: history.tick(),
    ended: Number.POSITIVE_INFINITY,
  };
  history.groupOffsets.push(entry);
  if (!(await commitOffset(client, place, offset))) return;
  entry.outcome = "acked";
  entry.ended = history.tick();
}

/** Whether it was acked. */
export async function commitOffset(
  client: Client,
  { topic, index }: TopicPartition,
  committedOffset: number,
): Promise<boolean> {
  const partition = { partitionIndex: index, committedOffset, committedLeaderEpoch: -1, committedMetadata: null };
  const reply = await client.send(
    "offsetCommit",
    {
      groupId: client.id,
      generationIdOrMemberEpoch: -1,
      memberId: "",
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [{ name: topic, topicId: uuidZero, partitions: [partition] }],
    },
    9,
  );
  const error = reply.kind === "answer" ? reply.body.topics[0]?.partitions[0]?.errorCode : undefined;
  if (error !== undefined && errorText(error) === "NOT_COORDINATOR") await findCoordinator(client);
  return error === 0;
}

/** Asks until it is told, and writes it down. Names of partitions to offsets, -1 for none. */
export async function committedOffsets(
  { history }: ActorWorld,
  client: Client,
  partitions: readonly TopicPartition[],
): Promise<ReadonlyMap<PartitionName, number>> {
  for (;;) {
    const begun = history.tick();
    const found = await fetchOffsets(client, partitions);
    if (found !== undefined) {
      const span = { begun, ended: history.tick() };
      for (const [partition, offset] of found) {
        history.groupOffsets.push({ group: client.id, partition, offset, outcome: "read", ...span });
      }
      return found;
    }
    await client.pause(100);
  }
}

/** undefined when nobody could say. */
export async function fetchOffsets(
  client: Client,
  partitions: readonly TopicPartition[],
): Promise<ReadonlyMap<PartitionName, number> | undefined> {
  const topics = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([name, each]) => ({
    name,
    topicId: uuidZero,
    partitionIndexes: each.map(({ index }) => index),
  }));
  const groups = [{ groupId: client.id, memberId: null, memberEpoch: -1, topics }];
  const reply = await client.send("offsetFetch", { groupId: "", topics: [], groups, requireStable: false }, 9);
  const group = reply.kind === "answer" ? reply.body.groups?.[0] : undefined;
  if (group === undefined || (group.errorCode ?? 0) !== 0) {
    await findCoordinator(client);
    return undefined;
  }
  return new Map(
    group.topics.flatMap(({ name, partitions: each }) =>
      each.map(({ partitionIndex, committedOffset }) => {
        const partition = nameOf({ topic: name ?? "", index: partitionIndex });
        return [partition, Number(committedOffset)] as const;
      }),
    ),
  );
}

async function findCoordinator(client: Client): Promise<void> {
  await client.send("findCoordinator", { key: "", keyType: 0, coordinatorKeys: [client.id] }, 4);
}

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
  const { topic, index } = client.random.pick(partitions);
  const partition = nameOf({ topic, index });
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
  const place = { partitionIndex: index, committedOffset: offset, committedLeaderEpoch: -1, committedMetadata: null };
  const reply = await client.send(
    "offsetCommit",
    {
      groupId: client.id,
      generationIdOrMemberEpoch: -1,
      memberId: "",
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [
        {
          name: topic,
          topicId: uuidZero,
          partitions: [place],
        },
      ],
    },
    9,
  );
  const error = reply.kind === "answer" ? reply.body.topics[0]?.partitions[0]?.errorCode : undefined;
  if (error !== 0) {
    if (error !== undefined && errorText(error) === "NOT_COORDINATOR") await findCoordinator(client);
    return;
  }
  entry.outcome = "acked";
  entry.ended = history.tick();
}

/** Asks until it is told. Names of partitions to offsets, -1 for none. */
export async function committedOffsets(
  world: ActorWorld,
  client: Client,
  partitions: readonly TopicPartition[],
): Promise<ReadonlyMap<PartitionName, number>> {
  const { history } = world;
  const wanted = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([name, each]) => ({
    name,
    topicId: uuidZero,
    partitionIndexes: each.map(({ index }) => index),
  }));
  for (;;) {
    const begun = history.tick();
    const groups = [{ groupId: client.id, memberId: null, memberEpoch: -1, topics: wanted }];
    const reply = await client.send("offsetFetch", { groupId: "", topics: [], groups, requireStable: false }, 9);
    const group = reply.kind === "answer" ? reply.body.groups?.[0] : undefined;
    if (group !== undefined && (group.errorCode ?? 0) === 0) {
      const ended = history.tick();
      const found = new Map<PartitionName, number>();
      for (const { name, partitions: each } of group.topics) {
        for (const { partitionIndex, committedOffset } of each) {
          const partition = nameOf({ topic: name ?? "", index: partitionIndex });
          const offset = Number(committedOffset);
          history.groupOffsets.push({ group: client.id, partition, offset, outcome: "read", begun, ended });
          found.set(partition, offset);
        }
      }
      return found;
    }
    await findCoordinator(client);
    await client.pause(100);
  }
}

async function findCoordinator(client: Client): Promise<void> {
  await client.send("findCoordinator", { key: "", keyType: 0, coordinatorKeys: [client.id] }, 4);
}

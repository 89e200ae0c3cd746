/** Proves: ten thousand groups, half classic and half of consumers, cost a bounded memory, are found again, and hold up nobody. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { MiB } from "../src/base/settings.ts";
import { type InletBroker, startInlet } from "./support/inlet-process.ts";
import { freePort } from "./support/processes.ts";
import { RawClient } from "./support/raw-client.ts";

const groups = 10_000;
const connections = 8;
const hourMs = 3_600_000;
const partitions = [0, 1, 2].map((partitionIndex) => ({ partitionIndex, committedOffset: 7, committedMetadata: "" }));

const isConsumer = (index: number): boolean => index % 2 === 1;
const nameOf = (index: number): string => `group-${index}`;

async function open({ bootstrap }: InletBroker): Promise<RawClient> {
  const [host, port] = bootstrap.split(":");
  return await RawClient.open({ host: host as string, port: Number(port) });
}

/** Each group's turn on one of the connections; the time of each turn in milliseconds, shortest first. */
async function forEachGroup(
  broker: InletBroker,
  turn: (client: RawClient, index: number) => Promise<void>,
): Promise<readonly number[]> {
  const times: number[] = [];
  await Promise.all(
    Array.from({ length: connections }, async (_, first) => {
      await using client = await open(broker);
      for (let index = first; index < groups; index += connections) {
        const before = performance.now();
        await turn(client, index);
        times.push(performance.now() - before);
      }
    }),
  );
  return times.sort((a, b) => a - b);
}

async function create(client: RawClient, index: number): Promise<void> {
  const groupId = nameOf(index);
  let member = { memberId: "", generationIdOrMemberEpoch: -1 };
  if (isConsumer(index)) {
    const memberId = `member-${index}`;
    const joining = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, subscribedTopicNames: ["read"], topicPartitions: [] };
    const joined = await client.call("consumerGroupHeartbeat", 1, { groupId, memberId, ...joining });
    expect(joined.errorCode).toBe(0);
    member = { memberId, generationIdOrMemberEpoch: joined.memberEpoch };
  }
  const committed = await client.call("offsetCommit", 9, {
    groupId,
    ...member,
    topics: [{ name: "read", partitions }],
  });
  expect(committed.topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([0, 0, 0]);
}

async function residentBytes({ http }: InletBroker): Promise<number> {
  const metrics = await (await fetch(`${http}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);
}

async function listed(broker: InletBroker): Promise<number> {
  await using client = await open(broker);
  for (;;) {
    const answer = await client.call("listGroups", 5, {});
    if (answer.errorCode === 0) return answer.groups.length;
    await sleep(20); // Still being read.
  }
}

test("ten thousand groups", { timeout: 300_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-groups-"));
  // Nobody sends heartbeats for them while the test goes on.
  const session = { ms: hourMs };
  const options = { directory, kafkaPort: await freePort(), config: { group: { consumer: { session } } } };
  let broker = await startInlet(options);
  try {
    {
      await using client = await open(broker);
      const topics = ["read", "gone"].map((name) => ({
        name,
        numPartitions: 3,
        replicationFactor: 1,
        assignments: [],
        configs: [],
      }));
      await client.call("createTopics", 7, { topics });
      await client.call("findCoordinator", 4, { keyType: 0, coordinatorKeys: ["g"] });
      await client.call("findCoordinator", 4, { keyType: 1, coordinatorKeys: ["t"] });
      for (;;) {
        const { groups: found } = await client.call("describeGroups", 5, { groups: ["g"] });
        if (found[0]?.errorCode === 0) break;
        await sleep(20);
      }
    }
    const before = await residentBytes(broker);
    const made = await forEachGroup(broker, create);
    const grown = (await residentBytes(broker)) - before;
    expect(await listed(broker)).toBe(groups);

    // A heartbeat looks at its own group alone, and so does the end of a transaction.
    const beats = await forEachGroup(broker, async (client, index) => {
      if (!isConsumer(index)) return;
      const beat = { groupId: nameOf(index), memberId: `member-${index}`, memberEpoch: 2 };
      expect((await client.call("consumerGroupHeartbeat", 1, beat)).errorCode).toBe(0);
    });
    const ends = await transactions(broker);

    // Deleting a topic makes all groups forget it; a heartbeat beside it waits for what of that is done in one turn.
    const held = await beside(broker, async (client) => {
      const deleted = await client.call("deleteTopics", 5, { topicNames: ["gone"], timeoutMs: 10_000 });
      expect(deleted.responses[0]?.errorCode).toBe(0);
    });

    await broker[Symbol.asyncDispose]();
    const restarting = performance.now();
    broker = await startInlet(options);
    const ready = performance.now() - restarting;
    expect(await listed(broker)).toBe(groups);
    const restarted = performance.now() - restarting;
    await using client = await open(broker);
    for (let index = 0; index < groups; index += 97) {
      const asked = { groupId: nameOf(index), topics: [{ name: "read", partitionIndexes: [0, 1, 2] }] };
      const { groups: found } = await client.call("offsetFetch", 9, { groups: [asked] });
      expect(found[0]?.topics[0]?.partitions.map(({ committedOffset }) => committedOffset)).toEqual([7, 7, 7]);
    }
    const at = (times: readonly number[], part: number): string =>
      `${times[Math.floor(times.length * part)]?.toFixed(1)} ms`;
    console.log(
      [
        `made in p50 ${at(made, 0.5)}, p99 ${at(made, 0.99)}; ${(grown / groups / 1024).toFixed(1)} KiB of memory a group`,
        `heartbeats p50 ${at(beats, 0.75)}, p99 ${at(beats, 0.99)}; ends of transactions p50 ${at(ends, 0.5)}`,
        `the longest heartbeat beside the deletion of a topic: ${held.toFixed(1)} ms`,
        `restart: ready after ${ready.toFixed(0)} ms, all groups read after ${restarted.toFixed(0)} ms`,
      ].join("\n"),
    );
    expect(grown).toBeLessThan(250 * MiB);
    expect(beats[Math.floor(beats.length * 0.99)]).toBeLessThan(250);
    expect(ends[Math.floor(ends.length / 2)]).toBeLessThan(500);
    expect(restarted).toBeLessThan(60_000);
  } finally {
    await broker[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  }
});

/** Commits an offset of one group in each of some transactions. */
async function transactions(broker: InletBroker): Promise<readonly number[]> {
  await using client = await open(broker);
  const times: number[] = [];
  const transactionalId = "t";
  for (let count = 0; count < 20; count += 1) {
    const begun = await settled(() =>
      client.call("initProducerId", 4, { transactionalId, transactionTimeoutMs: 60_000 }),
    );
    const by = { transactionalId, producerId: begun.producerId, producerEpoch: begun.producerEpoch };
    const added = await settled(() => client.call("addOffsetsToTxn", 3, { ...by, groupId: nameOf(0) }));
    expect(added.errorCode).toBe(0);
    const topics = [{ name: "read", partitions }];
    await client.call("txnOffsetCommit", 3, { ...by, groupId: nameOf(0), topics });
    const before = performance.now();
    expect((await client.call("endTxn", 3, { ...by, committed: true })).errorCode).toBe(0);
    times.push(performance.now() - before);
  }
  return times.sort((a, b) => a - b);
}

/** Asks again while the coordinator is being read or the last transaction is on its way. */
async function settled<T extends { readonly errorCode: number }>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (![14, 15, 51].includes(answer.errorCode)) return answer;
    await sleep(5);
  }
}

/** The longest heartbeat while the work goes on. */
async function beside(broker: InletBroker, work: (client: RawClient) => Promise<void>): Promise<number> {
  await using worker = await open(broker);
  await using client = await open(broker);
  let longest = 0;
  let isDone = false;
  const done = work(worker).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    const before = performance.now();
    await client.call("consumerGroupHeartbeat", 1, { groupId: nameOf(1), memberId: "member-1", memberEpoch: 2 });
    longest = Math.max(longest, performance.now() - before);
  }
  await done;
  return longest;
}

/** Proves: partitions over real streams, WAL, objects and metadata keep what they acknowledged, and what they know, across restarts. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type NodeId, type Offset, type StreamId, type Uuid, uuidRandom } from "../../src/base/ids.ts";
import type { Partition } from "../../src/log/log.ts";
import { openMetadata } from "../../src/metadata/metadata-client.ts";
import { StoreFailed } from "../../src/object-store/object-store.ts";
import { BatchView, type Compression } from "../../src/protocol/record-batch.ts";
import { buildBatch, buildMarker, type NewBatch } from "../../src/protocol/records.ts";
import { records } from "../support/owned-partition.ts";
import { silent } from "../support/seeded.ts";
import { metadataLimits, StreamNode } from "../support/stream-node.ts";

let node: StreamNode;
let topicId: Uuid;

beforeEach(async () => {
  node = new StreamNode();
  await node.start();
  topicId = await node.topic("orders");
});

afterEach(async () => {
  await node.stop();
  expect(node.failures).toEqual([]);
});

function partition(): Partition {
  return node.partition(topicId);
}

function batch(baseSequence: number, fields: Partial<NewBatch> = {}): Uint8Array {
  const now = node.runtime.clock.now();
  return buildBatch({ records: records(10, now), producerId: 5, producerEpoch: 0, baseSequence, ...fields });
}

async function produce(bytes: Uint8Array): Promise<number | string> {
  const outcome = await partition().append(bytes, { origin: "client", apiVersion: 13 });
  return outcome.kind === "appended" ? outcome.baseOffset : outcome.reason;
}

async function offsets(from: number): Promise<readonly number[] | string> {
  const isolation = "read-committed" as const;
  const read = await partition().read({ from: from as Offset, bytesMax: 1e6, atLeastOne: true, isolation });
  return read.kind === "batches" ? read.batches.map((bytes) => new BatchView(bytes).baseOffset) : read.kind;
}

describe.each(["from the WAL", "from objects", "from both"])("after a restart, %s", (source) => {
  async function interrupt(isLast: boolean): Promise<void> {
    if (source === "from objects" || (source === "from both" && !isLast)) await node.storage.flush();
    if (isLast) await node.restart();
  }

  test("records, offsets and repeats are as before", async () => {
    expect([await produce(batch(0)), await produce(batch(10))]).toEqual([0, 10]);
    await interrupt(false);
    expect(await produce(batch(20))).toBe(20);
    await interrupt(true);
    expect([await produce(batch(20)), await produce(batch(0)), await produce(batch(40))]).toEqual([
      20,
      0,
      "out-of-order-sequence",
    ]);
    expect(await produce(batch(30))).toBe(30);
    expect(await offsets(15)).toEqual([10, 20, 30]);
    expect(partition()).toMatchObject({ leaderEpoch: 1, highWatermark: 40, logStart: 0 });
    expect(partition().endOfEpoch(0)).toEqual({ epoch: 0, endOffset: 30 });
  });

  test("open and aborted transactions are as before", async () => {
    const isTransactional = true;
    await produce(batch(0, { isTransactional }));
    await interrupt(false);
    const marker = buildMarker({
      outcome: "abort",
      producerId: 5,
      producerEpoch: 0,
      coordinatorEpoch: 0,
      timestamp: 1,
    });
    await partition().append(marker, { origin: "coordinator", apiVersion: 0 });
    await produce(batch(10, { isTransactional }));
    await interrupt(true);
    expect(partition()).toMatchObject({ lastStable: 11, highWatermark: 21 });
    expect(await offsets(0)).toEqual([0, 10]);
    const read = { from: 0 as Offset, bytesMax: 1e6, atLeastOne: true, isolation: "read-committed" } as const;
    expect(await partition().read(read)).toMatchObject({ aborted: [{ producerId: 5, firstOffset: 0 }] });
  });

  test("the log start stays where it was moved, also into a batch", async () => {
    await produce(batch(0));
    await produce(batch(10));
    await interrupt(false);
    await partition().deleteRecords(13 as Offset);
    await interrupt(true);
    expect(partition().logStart).toBe(13);
    expect(await offsets(13)).toEqual([10]);
    expect(await offsets(12)).toBe("out-of-range");
  });

  test("producers outlive their records (KIP-360)", async () => {
    await produce(batch(0));
    await produce(batch(10));
    await interrupt(false);
    expect(await partition().deleteRecords("high-watermark")).toEqual({ kind: "moved", logStart: 20 });
    await interrupt(true);
    expect(await produce(batch(10))).toBe(10);
    expect(await produce(batch(50))).toBe("out-of-order-sequence");
    expect(await produce(batch(20))).toBe(20);
  });
});

describe("repeats are known though the records that tell of them are gone", () => {
  test.each([
    ["and what a crash left was uploaded before", true],
    ["and what a crash left is in the WAL alone", false],
  ])("deleted, %s", async (_, isUploaded) => {
    await produce(batch(0));
    await node.storage.flush();
    await produce(batch(10));
    await produce(batch(20));
    await node.restart(); // The partition appends nothing from here on: its next range would have no sidecar.
    if (isUploaded) await node.storage.flush();
    expect(await partition().deleteRecords(25 as Offset)).toEqual({ kind: "moved", logStart: 25 });
    await node.restart();
    expect([await produce(batch(10)), await produce(batch(20)), await produce(batch(30))]).toEqual([10, 20, 30]);
  });
});

test("a partition that could not be read when it was opened is opened later", async () => {
  await produce(batch(0));
  await node.restart();
  await node.storage.flush(); // Nobody spoke for it: the next opening reads it again.
  await node.stop();
  const get = node.objects.get.bind(node.objects);
  let gets = 0;
  node.objects.get = async (key, range) => {
    gets += 1;
    if (gets > 1) throw new StoreFailed("no answer", { happened: "no", retriable: true });
    return await get(key, range);
  };
  await node.start();
  expect(node.log.partition(topicId, 0)).toEqual({ kind: "opening" });
  node.log.reopen();
  await node.log.settled();
  node.objects.get = get;
  node.log.reopen();
  await node.log.settled();
  expect(await produce(batch(10))).toBe(10);
  expect(await offsets(0)).toEqual([0, 10]);
});

test("a node that is late to open a new topic does not take it from the one that writes to it", async () => {
  const late = await openMetadata({
    log: node.metadataLog,
    nodeId: 2 as NodeId,
    node: { host: "127.0.0.1", port: 2, rack: null },
    runtime: node.runtime,
    logger: silent,
    limits: metadataLimits,
    failed: (cause) => void node.failures.push(cause),
  });
  expect(await produce(batch(0))).toBe(0);
  const [stream] = [...late.image.streams()].map(({ id }) => id) as [StreamId];
  const proposal = await late.propose([{ kind: "open-streams", streams: [stream] }]); // When it looked, nobody had it.
  await late[Symbol.asyncDispose]();
  await node.storage.flush();
  expect(node.metadata.image.stream(stream)).toMatchObject({ node: 1, end: 10 });
  expect(proposal).toMatchObject({ kind: "refused", refusal: { reason: "stale-epoch" } });
  expect(await offsets(0)).toEqual([0]);
});

test("a deleted topic is gone after a restart too", async () => {
  await produce(batch(0));
  await node.metadata.propose([{ kind: "delete-topic", topicId }]);
  expect(node.log.partition(topicId, 0)).toEqual({ kind: "unknown" });
  await node.restart();
  expect([...node.log.partitions()]).toEqual([]);
});

describe("a search by time", () => {
  test("finds the very record, in the cache, in objects and across both, compressed or not", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        const id = await node.topic(`t${(topics += 1)}`, {}, uuidRandom(node.runtime.random));
        const model: { readonly offset: number; readonly timestamp: number }[] = [];
        for (const each of steps) {
          if (each === "flush") await node.storage.flush();
          else {
            const made = each.timestamps.map((timestamp) => ({
              timestamp,
              key: null,
              value: Buffer.alloc(each.bytes),
            }));
            const sent = buildBatch({ records: made, compression: each.compression });
            await node.partition(id).append(sent, { origin: "client", apiVersion: 13 });
            for (const timestamp of each.timestamps) model.push({ offset: model.length, timestamp });
          }
        }
        const found = node.partition(id);
        const nothing = { offset: -1, timestamp: -1 };
        for (let timestamp = 0; timestamp <= 51; timestamp += 1) {
          const expected = model.find((each) => each.timestamp >= timestamp) ?? nothing;
          const answer = await found.offsetFor({ kind: "at-or-after", timestamp }, "read-committed");
          expect(answer, `at or after ${timestamp}`).toMatchObject(expected);
        }
        const greatest = Math.max(-1, ...model.map(({ timestamp }) => timestamp));
        const expected = model.find(({ timestamp }) => timestamp === greatest) ?? nothing;
        expect(await found.offsetFor({ kind: "max-timestamp" }, "read-committed")).toMatchObject(expected);
      }),
      { numRuns: 60 },
    );
  });

  test("reads the block that holds the record, not what lies before it", async () => {
    const compression = "none" as const;
    for (let time = 0; time < 100; time += 1) {
      const value = Buffer.alloc(1000);
      await produce(buildBatch({ records: [{ timestamp: 1000 + time, key: null, value }], compression }));
    }
    await node.storage.flush();
    await node.restart();
    let bytesRead = 0;
    const get = node.objects.get.bind(node.objects);
    node.objects.get = async (key, range) => {
      const bytes = await get(key, range);
      bytesRead += bytes.length;
      return bytes;
    };
    const query = { kind: "at-or-after", timestamp: 1090 } as const;
    expect(await partition().offsetFor(query, "read-committed")).toMatchObject({ offset: 90, timestamp: 1090 });
    expect(bytesRead).toBeLessThan(10_000); // Of 100,000.
  });
});

let topics = 0;
const step = fc.oneof(
  { weight: 1, arbitrary: fc.constant("flush" as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      timestamps: fc.array(fc.nat(50), { minLength: 1, maxLength: 5 }),
      bytes: fc.constantFrom(1, 500),
      compression: fc.constantFrom<Compression[]>("none", "gzip", "lz4"),
    }),
  },
);

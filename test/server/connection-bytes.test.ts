/** Proves: clients that do not read their answers, or send without waiting, hold a bounded memory, each and all together. */

import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { KiB, MiB } from "../../src/base/settings.ts";
import { anonymous, dispatcher, type Handlers } from "../../src/protocol/dispatch.ts";
import { encodeRequest } from "../../src/protocol/frame.ts";
import { AnswerEncoder } from "../../src/server/answer-encoder.ts";
import { Connection } from "../../src/server/connection.ts";
import type { AnswerMemory } from "../../src/server/connection-bytes.ts";
import { FrameBudget } from "../../src/server/frame-budget.ts";
import { heapFrames } from "../support/heap-frames.ts";
import { testLimits } from "./test-listener.ts";

/** The broker's end of a connection whose peer reads only when it is told to. */
class Peer extends Duplex {
  unread = 0;
  #written: (() => void)[] = [];

  override _read(): void {}

  override _write(chunk: Uint8Array, _: string, done: () => void): void {
    this.unread += chunk.length;
    this.#written.push(done);
  }

  readAll(): number {
    const read = this.unread;
    this.unread = 0;
    for (const done of this.#written.splice(0)) done();
    return read;
  }
}

function world(handlers: Handlers, limits: Partial<typeof testLimits>) {
  const answers: AnswerMemory = { bytes: 0 };
  const [inFlight, ignored] = [{ count: 0 }, { set() {}, observe() {} }];
  const budgets = { small: new FrameBudget(1000 * MiB), large: new FrameBudget(1000 * MiB) };
  const { clock } = systemRuntime();
  const encoder = new AnswerEncoder(clock);
  const connect = (): Peer => {
    const socket = new Peer();
    new Connection({
      socket,
      clientHost: "127.0.0.1",
      clientPort: 1,
      listener: "test",
      principal: anonymous,
      authenticator: undefined,
      dispatcher: dispatcher(handlers),
      limits: { ...testLimits, ...limits },
      frames: heapFrames,
      budgets,
      clock,
      metrics: { requestSeconds: ignored, requestsInFlight: ignored },
      inFlight,
      answers,
      encoder,
      failed: (cause) => expect.fail(String(cause)),
      closed: () => undefined,
    });
    return socket;
  };
  return { connect, answers, budgets };
}

const settled = (): Promise<void> => new Promise((resume) => setImmediate(resume));

const fetchBody = {
  replicaId: -1,
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 50 * MiB,
  isolationLevel: 0,
  sessionId: 0,
  sessionEpoch: -1,
  topics: [],
  forgottenTopicsData: [],
  rackId: "",
};
const fetchFrame = (correlationId: number): Uint8Array =>
  joined(encodeRequest({ api: "fetch", version: 11, correlationId, clientId: "test" }, fetchBody));

/** Answers with all that it may, in memory that is shared: what counts is what the sockets are given. */
function reader(granted: number[] = []): Handlers {
  const records = new Uint8Array(50 * MiB);
  return {
    fetch: async (request, { grantAnswer }) => {
      const bytes = grantAnswer?.(request.maxBytes) ?? expect.fail("no budget");
      granted.push(bytes);
      const partition = {
        partitionIndex: 0,
        errorCode: 0,
        highWatermark: 0,
        lastStableOffset: 0,
        logStartOffset: 0,
        abortedTransactions: [],
        preferredReadReplica: -1,
        records: [records.subarray(0, bytes)],
      };
      return { throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [{ topic: "t", partitions: [partition] }] };
    },
  };
}

test("1,000 clients that pipeline fetches and read nothing hold what all may hold, and a small answer each", async () => {
  const limits = { connectionBytesMax: 16 * MiB, answerMemoryBytesMax: 64 * MiB };
  const { connect, answers } = world(reader(), limits);
  const peers = Array.from({ length: 1000 }, connect);
  for (const peer of peers) for (let i = 0; i < 20; i += 1) peer.push(fetchFrame(i));
  await settled();
  expect(answers.bytes).toBeGreaterThan(64 * MiB);
  expect(answers.bytes).toBeLessThan(64 * MiB + 1000 * 129 * KiB);
  for (const peer of peers) expect(peer.unread).toBeLessThanOrEqual(16 * MiB + KiB);
});

test("one that begins to read is answered on, and what clients leave behind is given back", async () => {
  const granted: number[] = [];
  const { connect, answers } = world(reader(granted), { connectionBytesMax: 16 * MiB, answerMemoryBytesMax: 64 * MiB });
  const peer = connect();
  for (let i = 0; i < 5; i += 1) peer.push(fetchFrame(i));
  await settled();
  expect(granted.length).toBe(1); // The next one begins only when this one was read.
  do await settled();
  while (peer.readAll() > 0);
  expect(granted).toEqual([16, 16, 16, 16, 16].map((each) => each * MiB));
  expect(answers.bytes).toBe(0);
  const gone = connect();
  gone.push(fetchFrame(1));
  await settled();
  expect(answers.bytes).toBeGreaterThan(15 * MiB);
  gone.destroy();
  await settled();
  expect(answers.bytes).toBe(0);
});

test("who asks again for memory gives back what it had", async () => {
  const gate = Promise.withResolvers<void>();
  const waiter: Handlers = {
    fetch: async (_, { grantAnswer }) => {
      grantAnswer?.(4 * MiB);
      grantAnswer?.(3 * MiB);
      await gate.promise;
      grantAnswer?.(0);
      return "no-response";
    },
  };
  const { connect, answers } = world(waiter, { connectionBytesMax: 16 * MiB, answerMemoryBytesMax: 64 * MiB });
  connect().push(fetchFrame(1));
  await settled();
  expect(answers.bytes).toBe(3 * MiB);
  gate.resolve();
  await settled();
  expect(answers.bytes).toBe(0);
});

test("1,000 clients that pipeline produce requests are read up to their budget, and on when they were answered", async () => {
  const gate = Promise.withResolvers<void>();
  let answered = 0;
  const produce: Handlers = {
    produce: async () => {
      await gate.promise;
      answered += 1;
      return { responses: [] };
    },
  };
  const { connect, budgets } = world(produce, { connectionBytesMax: 1 * MiB, requestsInFlightMax: 1000 });
  const records = new Uint8Array(100 * KiB);
  const body = { acks: -1, timeoutMs: 1, topicData: [{ name: "t", partitionData: [{ index: 0, records }] }] };
  const frame = (correlationId: number): Uint8Array =>
    joined(
      encodeRequest(
        { api: "produce", version: 8, correlationId, clientId: "test" },
        { transactionalId: null, ...body },
      ),
    );
  const peers = Array.from({ length: 1000 }, connect);
  const frames = Array.from({ length: 30 }, (_, i) => frame(i));
  for (const peer of peers) for (const each of frames) peer.push(each);
  await settled();
  const used = budgets.small.used + budgets.large.used;
  expect(used / peers.length).toBeGreaterThan(1 * MiB);
  expect(used / peers.length).toBeLessThan(1 * MiB + 2.1 * 100 * KiB); // One frame above, and one that was read and waits.
  gate.resolve();
  for (let i = 0; i < 2000 && answered < 30_000; i += 1) {
    await settled();
    for (const peer of peers) peer.readAll();
  }
  expect(answered).toBe(30_000);
  expect(budgets.small.used + budgets.large.used).toBe(0);
});

/** Proves: answers come in order and whole, what is no request closes its connection alone, and memory is bounded by what
 *  has arrived, never by what was announced. */
import { describe, expect, onTestFinished, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { madeFrom } from "../../src/base/elements.ts";
import type { Clock } from "../../src/base/runtime.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { dispatcher, type Handlers, type RequestContext } from "../../src/protocol/dispatch.ts";
import { encodeRequest } from "../../src/protocol/frame.ts";
import type { KafkaListener, KafkaListenerLimits } from "../../src/server/kafka-listener.ts";
import { SimClock } from "../sim/clock.ts";
import { BusyClock } from "../support/busy-clock.ts";
import { RawClient } from "../support/raw-client.ts";
import { openTestListener } from "./test-listener.ts";

const MiB = 1024 * 1024;
async function open(
  handlers: Handlers,
  options: { readonly limits?: Partial<KafkaListenerLimits>; readonly clock?: Clock } = {},
): Promise<KafkaListener & { readonly failures: unknown[] }> {
  const listener = await openTestListener({
    dispatcher: dispatcher(handlers),
    clock: options.clock ?? systemRuntime().clock,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  onTestFinished(() => listener[Symbol.asyncDispose]());
  return listener;
}

async function client(listener: KafkaListener): Promise<RawClient> {
  const opened = await RawClient.open(listener);
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

/** Handlers that answer when they are told to. */
function gated() {
  const started: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const gate = (key: string): PromiseWithResolvers<void> => {
    const known = gates.get(key) ?? Promise.withResolvers<void>();
    gates.set(key, known);
    return known;
  };
  const wait = async (key: string): Promise<void> => {
    started.push(key);
    await gate(key).promise;
  };
  const handlers: Handlers = {
    produce: async (request, context) => {
      await wait(`produce ${context.correlationId}`);
      return request.acks === 0 ? "no-response" : { responses: [] };
    },
    heartbeat: async (_request, context) => {
      await wait(`heartbeat ${context.correlationId}`);
      return { errorCode: 0 };
    },
  };
  return { handlers, started, finish: (key: string): void => gate(key).resolve() };
}

const produceBody = (acks: number) => ({ acks, timeoutMs: 1, topicData: [] });
const heartbeatBody = { groupId: "g", generationId: 1, memberId: "m" };
const lengthPrefix = (length: number): Uint8Array => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(length);
  return bytes;
};

describe("order", () => {
  test("produce requests overlap; answers keep the order of the requests", async () => {
    const { handlers, started, finish } = gated();
    const kafka = await client(await open(handlers));
    for (let i = 0; i < 3; i += 1) kafka.request("produce", 9, produceBody(-1));
    await expect.poll(() => started).toEqual(["produce 1", "produce 2", "produce 3"]);
    for (const id of [3, 2, 1]) finish(`produce ${id}`);
    expect([await kafka.correlationId(), await kafka.correlationId(), await kafka.correlationId()]).toEqual([1, 2, 3]);
  });

  test("anything else waits for what came before it", async () => {
    const { handlers, started, finish } = gated();
    const kafka = await client(await open(handlers));
    kafka.request("produce", 9, produceBody(-1));
    kafka.request("heartbeat", 4, heartbeatBody);
    kafka.request("produce", 9, produceBody(-1));
    await expect.poll(() => started).toEqual(["produce 1"]);
    finish("produce 1");
    expect(await kafka.correlationId()).toBe(1);
    await expect.poll(() => started).toEqual(["produce 1", "heartbeat 2"]);
    finish("heartbeat 2");
    finish("produce 3");
    expect([await kafka.correlationId(), await kafka.correlationId()]).toEqual([2, 3]);
  });

  test("acks=0 leaves no trace among the answers", async () => {
    const { handlers, finish } = gated();
    const kafka = await client(await open(handlers));
    for (const acks of [-1, 0, 1]) kafka.request("produce", 9, produceBody(acks));
    for (const id of [1, 2, 3]) finish(`produce ${id}`);
    expect([await kafka.correlationId(), await kafka.correlationId()]).toEqual([1, 3]);
  });

  test("too many requests in flight stop the reading, not the connection", async () => {
    const { handlers, started, finish } = gated();
    const kafka = await client(await open(handlers, { limits: { requestsInFlightMax: 2 } }));
    for (let i = 0; i < 50; i += 1) kafka.request("produce", 9, produceBody(-1));
    for (let id = 1; id <= 50; id += 1) {
      await expect.poll(() => started).toContain(`produce ${id}`);
      finish(`produce ${id}`);
      expect(await kafka.correlationId()).toBe(id);
    }
  });
});

test("a connection that pipelines thousands of requests does not keep another one waiting", async () => {
  let answered = 0;
  const listener = await open({
    heartbeat: async () => {
      answered += 1;
      return { errorCode: 0 };
    },
    listGroups: async () => ({ errorCode: 0, groups: [] }),
  });
  const [greedy, modest] = [await client(listener), await client(listener)];
  const header = { api: "heartbeat", version: 0, correlationId: 1, clientId: null } as const;
  const frame = joined(encodeRequest(header, heartbeatBody));
  greedy.send(joined(Array.from({ length: 2_000 }, () => frame)));
  await modest.call("listGroups", 0, {});
  expect(answered).toBeLessThan(1_000);
  await expect.poll(() => answered).toBe(2_000);
});

describe("an answer that takes long to encode", () => {
  /** Of topics that are made while they are written. */
  const long = () => {
    const made = { topics: 0 };
    const ids = Array.from({ length: 100_000 }, (_, index) => index);
    const first = Promise.withResolvers<void>();
    const handlers: Handlers = {
      metadata: async () => ({
        brokers: [],
        topics: madeFrom(ids, (id) => {
          made.topics += 1;
          first.resolve();
          return { errorCode: 0, name: `a-topic-with-a-name-${id}`, partitions: [] };
        }),
      }),
      heartbeat: async () => ({ errorCode: 0 }),
    };
    return { handlers, made, begun: first.promise, count: ids.length };
  };
  const all = { topics: null, allowAutoTopicCreation: false };

  test("comes whole, and others are served while it is made", async () => {
    const { handlers, made, begun, count } = long();
    const listener = await open(handlers, { clock: new BusyClock() });
    const [patient, other] = [await client(listener), await client(listener)];
    const answer = patient.call("metadata", 9, all);
    await begun;
    await other.call("heartbeat", 4, heartbeatBody);
    expect(made.topics).toBeLessThan(count / 2);
    const { topics } = await answer;
    expect(topics).toHaveLength(count);
    expect(topics.at(-1)?.name).toBe(`a-topic-with-a-name-${count - 1}`);
  });

  test("is not gone on with when its client is gone, and the next one is made", async () => {
    const { handlers, made, begun, count } = long();
    const listener = await open(handlers, { clock: new BusyClock() });
    const [hasty, patient] = [await client(listener), await client(listener)];
    hasty.request("metadata", 9, all);
    await begun;
    hasty.socket.destroy();
    await expect.poll(() => listener.connections).toBe(1);
    const madeForNobody = made.topics;
    expect(madeForNobody).toBeLessThan(count / 2);
    expect((await patient.call("metadata", 9, all)).topics).toHaveLength(count);
    expect(made.topics).toBeLessThan(madeForNobody + count * 1.5);
    expect(listener.failures).toEqual([]);
  });
});

test("a client that is to pause has its answer at once, and is neither read nor served until the pause is over", async () => {
  const pauseMs = 12_345;
  const { clock } = systemRuntime();
  const ends: (() => void)[] = [];
  const held: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after(delayMs, callback) {
      if (delayMs !== pauseMs) return clock.after(delayMs, callback);
      ends.push(callback);
      return { [Symbol.dispose]() {} };
    },
  };
  const { handlers, started, finish } = gated();
  const pausing: Handlers = {
    ...handlers,
    heartbeat: async (request, context) => {
      if (context.correlationId === 1) context.pause?.(pauseMs);
      return (await handlers.heartbeat?.(request, context)) ?? "close";
    },
  };
  const kafka = await client(await open(pausing, { clock: held }));
  for (let i = 0; i < 3; i += 1) kafka.request("heartbeat", 4, heartbeatBody);
  for (const id of [1, 2, 3]) finish(`heartbeat ${id}`);
  expect(await kafka.correlationId()).toBe(1);
  expect(started).toEqual(["heartbeat 1"]);
  expect(ends).toHaveLength(1);
  ends[0]?.();
  expect([await kafka.correlationId(), await kafka.correlationId()]).toEqual([2, 3]);
});

describe("what a handler is given", () => {
  test("the context names the client, and its signal aborts when the client is gone", async () => {
    const seen = Promise.withResolvers<RequestContext>();
    const listener = await open({
      heartbeat: (_request, context) => {
        seen.resolve(context);
        return new Promise((resolve) => {
          context.signal.addEventListener("abort", () => resolve({ errorCode: 0 }));
        });
      },
    });
    const kafka = await client(listener);
    kafka.request("heartbeat", 4, heartbeatBody);
    const { signal, pause, grantAnswer, borrow, ...context } = await seen.promise;
    expect(pause).toBeTypeOf("function");
    expect(borrow?.().disposed).toBe(false);
    expect(grantAnswer?.(1)).toBe(1);
    expect(context).toEqual({
      apiVersion: 4,
      correlationId: 1,
      clientId: "test",
      clientHost: "127.0.0.1",
      client: { port: expect.any(Number), softwareName: "", softwareVersion: "" },
      listener: "test",
      principal: { type: "User", name: "ANONYMOUS", isTokenAuthenticated: false },
    });
    kafka.socket.destroy();
    await expect.poll(() => signal.aborted).toBe(true);
    await expect.poll(() => [listener.connections, listener.requestBytesHeld]).toEqual([0, 0]);
  });

  test("records survive a frame of many chunks", async () => {
    const records = new Uint8Array(3 * MiB).map((_, i) => i * 7);
    const seen = Promise.withResolvers<boolean>();
    const listener = await open({
      produce: async (request) => {
        const [partition] = request.topicData[0]?.partitionData ?? [];
        seen.resolve(Buffer.from(partition?.records ?? []).equals(records));
        return { responses: [] };
      },
      fetch: async () => {
        const partition = {
          partitionIndex: 0,
          errorCode: 0,
          highWatermark: 1,
          abortedTransactions: null,
          records: [records, records],
        };
        return { responses: [{ topic: "t", partitions: [partition] }] };
      },
    });
    const kafka = await client(listener);
    await kafka.call("produce", 9, {
      acks: 1,
      timeoutMs: 1,
      topicData: [{ name: "t", partitionData: [{ index: 0, records }] }],
    });
    expect(await seen.promise).toBe(true);
    const fetched = await kafka.call("fetch", 12, { maxWaitMs: 1, minBytes: 1, topics: [] });
    expect(fetched.responses[0]?.partitions[0]?.records?.[0]).toHaveLength(6 * MiB);
    await expect.poll(() => listener.requestBytesHeld).toBe(0);
  });
});

describe("what an answer borrows", () => {
  const bytes = 32 * MiB;
  const fetchBody = { maxWaitMs: 1, minBytes: 1, topics: [] };

  /** Answers fetches with more than the sockets on the way take, out of what it borrowed. */
  function lender(): { readonly handlers: Handlers; readonly lent: { isBack: boolean }[] } {
    const lent: { isBack: boolean }[] = [];
    const lend = (to: DisposableStack | undefined): void => {
      const loan = { isBack: false };
      lent.push(loan);
      to?.defer(() => {
        loan.isBack = true;
      });
    };
    const partition = { partitionIndex: 0, errorCode: 0, highWatermark: 1, abortedTransactions: null };
    const partitions = [{ ...partition, records: [new Uint8Array(bytes)] }];
    const handlers: Handlers = {
      fetch: async (_request, context) => {
        lend(context.borrow?.());
        return { responses: [{ topic: "t", partitions }] };
      },
      heartbeat: async (_request, context) => {
        lend(context.borrow?.());
        throw new Error("planted");
      },
    };
    return { handlers, lent };
  }

  test("is given back when the answer is out, not before", async () => {
    const { handlers, lent } = lender();
    const kafka = await client(await open(handlers));
    kafka.socket.pause();
    kafka.request("fetch", 12, fetchBody);
    await expect.poll(() => lent.length).toBe(1);
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    expect(lent[0]?.isBack).toBe(false);
    kafka.socket.resume();
    expect((await kafka.frame()).length).toBeGreaterThan(bytes);
    await expect.poll(() => lent[0]?.isBack).toBe(true);
  });

  test("is given back when nobody is there to read it any more", async () => {
    const { handlers, lent } = lender();
    const kafka = await client(await open(handlers));
    kafka.socket.pause();
    for (let i = 0; i < 2; i += 1) kafka.request("fetch", 12, fetchBody);
    await expect.poll(() => lent.length).toBe(1);
    kafka.socket.destroy();
    await expect.poll(() => lent.every((each) => each.isBack)).toBe(true);
  });

  test("is given back when the handler is done only after the client is gone", async () => {
    const { handlers, lent } = lender();
    const finish = Promise.withResolvers<void>();
    const listener = await open({
      fetch: async (request, context) => {
        const answer = await handlers.fetch?.(request, context);
        await finish.promise;
        return answer ?? "close";
      },
    });
    const kafka = await client(listener);
    kafka.request("fetch", 12, fetchBody);
    await expect.poll(() => lent.length).toBe(1);
    kafka.socket.destroy();
    await expect.poll(() => listener.connections).toBe(0);
    expect(lent[0]?.isBack).toBe(false);
    finish.resolve();
    await expect.poll(() => lent[0]?.isBack).toBe(true);
  });

  test("is given back when the handler fails", async () => {
    const { handlers, lent } = lender();
    const kafka = await client(await open(handlers));
    kafka.request("heartbeat", 4, heartbeatBody);
    await kafka.closed;
    expect(lent.map((each) => each.isBack)).toEqual([true]);
  });
});

describe("what is no request", () => {
  const answering: Handlers = {
    heartbeat: async () => ({ errorCode: 0 }),
    apiVersions: async () => ({ errorCode: 0, apiKeys: [] }),
  };

  test.each([
    ["a negative length", Buffer.from("ffffffff", "hex")],
    ["a length beyond the limit", lengthPrefix(100 * MiB + 1)],
    ["a length shorter than a header", lengthPrefix(7)],
    ["an unknown API", Buffer.from("0000000a03e7000000000001ffff", "hex")],
    ["an unserved version", Buffer.from("0000000a000c007f00000001ffff", "hex")],
    ["a body that is no heartbeat", Buffer.from("0000000c000c000000000001ffff7fff", "hex")],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    ["TLS", Buffer.from("16030100f8010000f40303", "hex")],
  ])("%s closes the connection, and no other", async (_name, bytes) => {
    const listener = await open(answering);
    const [bad, good] = [await client(listener), await client(listener)];
    bad.send(bytes);
    await bad.closed;
    expect((await good.call("heartbeat", 4, heartbeatBody)).errorCode).toBe(0);
    expect(listener.failures).toEqual([]);
  });

  test("what came before it is answered first", async () => {
    const kafka = await client(await open(answering));
    kafka.request("heartbeat", 4, heartbeatBody);
    kafka.request("heartbeat", 4, heartbeatBody);
    kafka.send(lengthPrefix(-5));
    expect([await kafka.correlationId(), await kafka.correlationId()]).toEqual([1, 2]);
    await kafka.closed;
  });

  test("ApiVersions of a version to come is answered in version 0, and the connection lives", async () => {
    const kafka = await client(await open(answering));
    kafka.send(Buffer.from("0000000c 0012 0063 00000009 ffff abcd".replaceAll(" ", ""), "hex"));
    expect(Buffer.from(await kafka.frame()).toString("hex")).toBe("00000009002300000001001200000004");
    expect((await kafka.call("apiVersions", 3, {})).errorCode).toBe(0);
  });

  test("a handler that throws closes its connection and is reported", async () => {
    const listener = await open({
      heartbeat: async () => {
        throw new Error("broken");
      },
    });
    const kafka = await client(listener);
    kafka.request("heartbeat", 4, heartbeatBody);
    await kafka.closed;
    expect(listener.failures).toEqual([new Error("broken")]);
    await expect.poll(() => listener.requestBytesHeld).toBe(0);
  });

  test("a handler may close", async () => {
    const kafka = await client(await open({ produce: async () => "close" }));
    kafka.request("produce", 9, produceBody(0));
    await kafka.closed;
  });
});

describe("memory", () => {
  const heartbeats: Handlers = { heartbeat: async () => ({ errorCode: 0 }) };

  test("500 connections that announce 100 MiB each take nothing", async () => {
    const listener = await open(heartbeats);
    const good = await client(listener);
    await good.call("heartbeat", 4, heartbeatBody);
    const before = process.memoryUsage.rss();
    const bombs = await Promise.all(Array.from({ length: 500 }, () => client(listener)));
    for (const bomb of bombs) bomb.send(lengthPrefix(100 * MiB));
    await expect.poll(() => listener.requestBytesHeld).toBe(2000);
    expect((await good.call("heartbeat", 4, heartbeatBody)).errorCode).toBe(0);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * MiB); // Both ends of 500 sockets are in this process.
  });

  test("large frames that arrive together stay within the budget, small ones pass, and all are answered", async () => {
    const listener = await open(
      { ...heartbeats, produce: async () => ({ responses: [] }) },
      { limits: { requestMemoryBytesMax: 4 * MiB } },
    );
    const records = new Uint8Array(3 * MiB);
    const body = { acks: 1, timeoutMs: 1, topicData: [{ name: "t", partitionData: [{ index: 0, records }] }] };
    const producers = await Promise.all(Array.from({ length: 20 }, () => client(listener)));
    const good = await client(listener);
    const frame = joined(encodeRequest({ api: "produce", version: 9, correlationId: 1, clientId: "test" }, body));
    // All but a byte of each: whatever is read is held.
    for (const producer of producers) producer.send(frame.subarray(0, -1));
    let held = -1;
    await expect
      .poll(() => held === (held = listener.requestBytesHeld) && held > 4 * MiB, { interval: 100 })
      .toBe(true);
    // The budget, one overdraft, and a read for each connection.
    expect(held).toBeLessThan(4 * MiB + 3.1 * MiB + 20 * 65_536);
    await good.call("heartbeat", 4, heartbeatBody);
    for (const producer of producers) producer.send(frame.subarray(-1));
    expect(await Promise.all(producers.map((producer) => producer.correlationId()))).toEqual(Array(20).fill(1));
    expect(listener.requestBytesHeld).toBe(0);
  });
});

describe("time", () => {
  const heartbeats: Handlers = { heartbeat: async () => ({ errorCode: 0 }) };

  test("a frame that does not keep arriving is given up", async () => {
    const clock = new SimClock();
    const listener = await open(heartbeats, { clock });
    const [slow, quick] = [await client(listener), await client(listener)];
    await quick.call("heartbeat", 4, heartbeatBody);
    slow.send(lengthPrefix(50_000));
    await expect.poll(() => listener.requestBytesHeld).toBe(4);
    await clock.run(4_000);
    expect(listener.connections).toBe(2);
    await clock.run(4_000);
    await slow.closed;
    await expect.poll(() => [listener.connections, listener.requestBytesHeld]).toEqual([1, 0]);
    await quick.call("heartbeat", 4, heartbeatBody);
  });

  test("an idle connection is closed, one with a running request is not", async () => {
    const clock = new SimClock();
    const { handlers, started, finish } = gated();
    const listener = await open(handlers, { clock });
    const [idle, busy] = [await client(listener), await client(listener)];
    busy.request("heartbeat", 4, heartbeatBody);
    await expect.poll(() => started).toHaveLength(1);
    await clock.run(70_000);
    await idle.closed;
    finish("heartbeat 1");
    expect(await busy.correlationId()).toBe(1);
  });

  test("closing answers what has come, then ends", async () => {
    const { handlers, started, finish } = gated();
    const listener = await open(handlers);
    const [busy, idle] = [await client(listener), await client(listener)];
    busy.request("produce", 9, produceBody(-1));
    await expect.poll(() => started).toHaveLength(1);
    const address = { host: listener.host, port: listener.port };
    const closing = listener[Symbol.asyncDispose]();
    await idle.closed;
    finish("produce 1");
    expect(await busy.correlationId()).toBe(1);
    await busy.closed;
    await closing;
    await expect(RawClient.open(address)).rejects.toThrow("ECONNREFUSED");
  });

  test("closing does not wait for ever", async () => {
    const { handlers, started } = gated();
    const listener = await open(handlers, { limits: { closeMsMax: 50 } });
    const stuck = await client(listener);
    stuck.request("produce", 9, produceBody(-1));
    await expect.poll(() => started).toHaveLength(1);
    await listener[Symbol.asyncDispose]();
    await stuck.closed;
  });
});

test("connections beyond the limit are closed at once", async () => {
  const listener = await open({ heartbeat: async () => ({ errorCode: 0 }) }, { limits: { connectionsMax: 1 } });
  const first = await client(listener);
  await first.call("heartbeat", 4, heartbeatBody);
  await (await client(listener)).closed;
  await first.call("heartbeat", 4, heartbeatBody);
});

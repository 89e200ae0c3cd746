// Proves: a ShareFetch takes no more than its member and the memory for answers have room for, and none of that memory while it waits;
// it begins with each partition in turn; what it acknowledges is answered for each partition that it names.
import { expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import { LiveSharePartition, type Taken, type TakeRequest } from "../../../src/coordinator/share/live-partition.ts";
import { shareFetchHandler } from "../../../src/handlers/share/share-fetch.ts";
import { ShareSessions } from "../../../src/handlers/share/share-session.ts";
import { anonymous, type RequestContext } from "../../../src/protocol/dispatch.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const topicId = "11111111-1111-4111-8111-111111111111" as Uuid;
const clock = new ManualClock();

function handlerOver(open: (at: { readonly partition: number }) => Promise<LiveSharePartition>) {
  return shareFetchHandler({
    clock,
    sessions: new ShareSessions({ sessionsMax: 1, ended: () => undefined }),
    partitions: { open, at: () => ({ acknowledge: async () => "not-held" }) } as never, // All that the handler may use here.
    metadata: { image: { topic: () => ({ partitions: [0, 1] }) } } as never,
    configOf: () => ({ lockDurationMs: 1 }) as never,
    limits: { fetchBytesMax: 1000, fetchesWaitingMax: 10 },
  });
}

function request(maxBytes: number): Parameters<ReturnType<typeof handlerOver>>[0] {
  const partitions = [{ partitionIndex: 0, partitionMaxBytes: 0, acknowledgementBatches: [] }];
  return {
    groupId: "g",
    memberId: "m",
    shareSessionEpoch: 0,
    maxWaitMs: 500,
    minBytes: 1,
    maxBytes,
    maxRecords: 500,
    batchSize: 500,
    shareAcquireMode: 0,
    isRenewAck: false,
    topics: [{ topicId, partitions }],
    forgottenTopicsData: [],
  };
}

const context: RequestContext = {
  apiVersion: 2,
  correlationId: 1,
  clientId: "c",
  clientHost: "127.0.0.1",
  listener: "PLAINTEXT",
  principal: anonymous,
  signal: new AbortController().signal,
};

/** One that gives out what it has been given last, and remembers what it was asked for. */
class FakeLive {
  readonly asked: number[] = [];
  records = 0;
  changed: () => void = () => undefined;

  /** The handler asks of which class it is. */
  asLive(): LiveSharePartition {
    const listening = { [Symbol.dispose]: () => undefined };
    return Object.assign(Object.create(LiveSharePartition.prototype) as LiveSharePartition, {
      partition: { onAdvance: () => listening },
      onChange: (listener: () => void) => {
        this.changed = listener;
        return listening;
      },
      take: async ({ bytesMax }: TakeRequest): Promise<Taken> => {
        this.asked.push(bytesMax);
        const bytes = this.records * 10;
        const ranges = this.records === 0 ? [] : [{ first: 0, last: this.records - 1, deliveryCount: 1 }];
        return { batches: [new Uint8Array(bytes)], bytes, records: this.records, ranges };
      },
    });
  }
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
};

test("without room for a byte no record is looked for, and the answer comes at the end of the wait", async () => {
  const handler = handlerOver(() => Promise.reject(new Error("a partition was opened")));
  const answer = handler(request(0), context);
  let isAnswered = false;
  void answer.then(() => (isAnswered = true));
  clock.advance(499);
  await turns();
  expect(isAnswered).toBe(false);
  clock.advance(1);
  expect(await answer).toMatchObject({ errorCode: 0, responses: [] });
});

test("it reads what it is granted, asks anew each time that it looks, and holds nothing while it waits", async () => {
  const live = new FakeLive();
  const handler = handlerOver(async () => live.asLive());
  const grants: number[] = [];
  let room = 300;
  const grantAnswer = (bytes: number): number => {
    grants.push(Math.min(bytes, room));
    return Math.min(bytes, room);
  };
  const answer = handler(request(5000), { ...context, grantAnswer });
  await turns();
  expect(live.asked).toEqual([300]);
  expect(grants).toEqual([300, 0]);
  [live.records, room] = [2, 200];
  live.changed();
  await answer;
  expect(live.asked).toEqual([300, 200]);
  expect(grants).toEqual([300, 0, 200]);
});

test("each epoch begins with another partition of those that there are", async () => {
  const live = new FakeLive();
  const opened: number[] = [];
  const handler = handlerOver(async ({ partition }) => {
    opened.push(partition);
    return live.asLive();
  });
  const partitions = [7, 0, 1].map((partitionIndex) => ({
    partitionIndex,
    partitionMaxBytes: 0,
    acknowledgementBatches: [],
  }));
  const atOnce = { ...request(1000), maxWaitMs: 0 };
  await handler({ ...atOnce, topics: [{ topicId, partitions }] }, context);
  await handler({ ...atOnce, shareSessionEpoch: 1, topics: [] }, context);
  await handler({ ...atOnce, shareSessionEpoch: 2, topics: [] }, context);
  expect(opened.filter((partition) => partition !== 7)).toEqual([0, 1, 1, 0, 0, 1]);
});

test("with acknowledgements among them, all partitions that are named are answered for", async () => {
  const live = new FakeLive();
  const handler = handlerOver(async () => live.asLive());
  const named = (at: number, batches: typeof accepted) => ({
    partitionIndex: at,
    partitionMaxBytes: 0,
    acknowledgementBatches: batches,
  });
  const accepted = [{ firstOffset: 0, lastOffset: 0, acknowledgeTypes: [1] }];
  const asked = async (epoch: number, partitions: readonly ReturnType<typeof named>[]) =>
    await handler(
      { ...request(1000), shareSessionEpoch: epoch, maxWaitMs: 0, topics: [{ topicId, partitions }] },
      context,
    );
  await asked(0, [named(0, []), named(1, [])]);
  expect(await asked(1, [named(0, []), named(1, [])])).toMatchObject({ responses: [] });
  const answer = await asked(2, [named(0, []), named(1, accepted)]);
  if (typeof answer === "string") throw new Error(answer);
  expect(answer.responses[0]?.partitions).toMatchObject([
    { partitionIndex: 0, acknowledgeErrorCode: 0 },
    { partitionIndex: 1, acknowledgeErrorCode: 121 },
  ]);
});

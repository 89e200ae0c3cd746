// Proves: a ShareFetch whose member has no room for a byte takes no record, and is answered when its time is up.
import { expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import { shareFetchHandler } from "../../../src/handlers/share/share-fetch.ts";
import { ShareSessions } from "../../../src/handlers/share/share-session.ts";
import { anonymous } from "../../../src/protocol/dispatch.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const topicId = "11111111-1111-4111-8111-111111111111" as Uuid;

test("no record is looked for, and the answer comes at the end of the wait", async () => {
  const clock = new ManualClock();
  const handler = shareFetchHandler({
    clock,
    sessions: new ShareSessions({ sessionsMax: 1, ended: () => undefined }),
    partitions: {
      open: () => Promise.reject(new Error("a partition was opened")),
    } as never, // All that the handler may not use here.
    metadata: { image: { topic: () => ({}) } } as never,
    configOf: () => ({ lockDurationMs: 1 }) as never,
    limits: { fetchBytesMax: 1000, fetchesWaitingMax: 10 },
  });
  const partitions = [{ partitionIndex: 0, partitionMaxBytes: 0, acknowledgementBatches: [] }];
  const answer = handler(
    {
      groupId: "g",
      memberId: "m",
      shareSessionEpoch: 0,
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 0,
      maxRecords: 500,
      batchSize: 500,
      shareAcquireMode: 0,
      isRenewAck: false,
      topics: [{ topicId, partitions }],
      forgottenTopicsData: [],
    },
    {
      apiVersion: 2,
      correlationId: 1,
      clientId: "c",
      clientHost: "127.0.0.1",
      listener: "PLAINTEXT",
      principal: anonymous,
      signal: new AbortController().signal,
    },
  );
  let isAnswered = false;
  void answer.then(() => (isAnswered = true));
  clock.advance(499);
  await Promise.resolve();
  expect(isAnswered).toBe(false);
  clock.advance(1);
  expect(await answer).toMatchObject({ errorCode: 0, responses: [] });
});

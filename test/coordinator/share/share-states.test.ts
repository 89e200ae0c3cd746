/** Proves: states of share-partitions that are looked after when the store is away hold up no stop. */
import { expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import { ShareStates } from "../../../src/coordinator/share/share-states.ts";
import { ShareStateShard } from "../../../src/coordinator/share/state-shard.ts";
import { stateLogLimits } from "../../../src/log/state-log.ts";
import { SimClock } from "../../sim/clock.ts";
import { endOf } from "../../support/end-of.ts";
import { FakeLog } from "../../support/fake-log.ts";

const topicId = "00000000-0000-4000-8000-0000000000aa" as Uuid;

test("what is cut off of their log must be uploaded first, which is not waited for", async () => {
  const clock = new SimClock();
  const log = new FakeLog();
  log.add(topicId, "__share_group_state", 1);
  const failures: unknown[] = [];
  const states = new ShareStates({
    log,
    clock,
    topic: () => ({ topicId, partitions: 1 }),
    isTopic: () => true,
    limits: { updatesPerSnapshotMax: 2, statesMax: 10, loadWaitMs: 500, pruneIntervalMs: 60_000 },
    stateLog: stateLogLimits,
    failed: (cause) => failures.push(cause),
  });
  const key = { groupId: "g", topicId, partition: 0 };
  const shard = await clock.until(states.shard(key));
  if (!(shard instanceof ShareStateShard)) throw new Error(shard);
  for (const stateEpoch of [1, 2]) expect(await shard.initialize(key, { stateEpoch, startOffset: 0 })).toBe("NONE");
  let trims = 0;
  log.fake(topicId, 0).deleteRecords = () => {
    trims += 1;
    return new Promise<never>(() => undefined);
  };
  await clock.run(62_000);
  expect(trims).toBe(1);
  expect(await endOf(states[Symbol.asyncDispose]())).toBe("ended");
  expect(failures).toEqual([]);
});

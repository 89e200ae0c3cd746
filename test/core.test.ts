/** Proves: a broker's inner parts come to their end though what they wait for is away. */
import { expect, test } from "vitest";
import { OperationFailed } from "../src/base/errors.ts";
import type { Uuid } from "../src/base/ids.ts";
import { LogLevels } from "../src/base/log-levels.ts";
import { openCore } from "../src/core.ts";
import type { CasLog } from "../src/metadata/cas-log.ts";
import { MemoryLog } from "../src/metadata/memory-log.ts";
import { MemoryObjectStore } from "../src/object-store/memory.ts";
import { SimClock } from "./sim/clock.ts";
import { configOf } from "./support/config.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import { noMetrics } from "./support/no-metrics.ts";
import { seededRandom, silent } from "./support/seeded.ts";

test("a metadata log that is away holds up a stop for ten seconds", async () => {
  const clock = new SimClock();
  const memory = new MemoryLog();
  let isAway = false;
  const away = async () => await Promise.reject(new OperationFailed("away", { happened: "no" }));
  const metadataLog: CasLog = {
    append: (entry) => (isAway ? away() : memory.append(entry)),
    read: (from, entriesMax) => (isAway ? away() : memory.read(from, entriesMax)),
    readCheckpoint: () => memory.readCheckpoint(),
    writeCheckpoint: (checkpoint) => memory.writeCheckpoint(checkpoint),
    [Symbol.asyncDispose]: async () => undefined,
  };
  const { settings } = configOf("", {});
  const opening = openCore({
    settings: {
      ...settings,
      dataDirectory: "/data",
      walBytesMax: 67_108_864,
      walSegmentBytes: 4_194_304,
      walGroupBytesMax: 1_048_576,
    },
    runtime: { clock, random: seededRandom(1) },
    disk: new MemoryDisk(),
    metadataLog,
    store: new MemoryObjectStore({ clock }),
    logger: silent,
    logLevels: new LogLevels("info"),
    metrics: noMetrics,
    mirrorsMetadata: false,
    advertised: { host: "here", port: 9092 },
    fatal: () => undefined,
  });
  const core = await clock.until(opening);
  // The log of partitions has heard of the topic, and is about to open it.
  core.metadata.onChange(() => {
    isAway = true;
  });
  const topicId = "00000000-0000-4000-8000-0000000000aa" as Uuid;
  const event = { kind: "create-topic", topicId, name: "t", partitions: 1, configs: new Map() } as const;
  await clock.until(core.metadata.propose([event]));
  await clock.run(1000);
  const beganMs = clock.monotonic();
  await clock.until(core[Symbol.asyncDispose]() as Promise<void>, 600_000);
  expect(clock.monotonic() - beganMs).toBeLessThan(20_000);
});

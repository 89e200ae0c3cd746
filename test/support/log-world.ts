/** A log of this node over streams in memory, and a context to call its handlers with. */

import type { ErrorName } from "../../schemas/kafka/errors.ts";
import { errorName } from "../../schemas/kafka/errors.ts";
import type { Offset, Uuid } from "../../src/base/ids.ts";
import { Slabs } from "../../src/base/slabs.ts";
import { type LocalLog, type LogLimits, openLog } from "../../src/log/local-log.ts";
import type { Partition } from "../../src/log/log.ts";
import { anonymous, type RequestContext } from "../../src/protocol/dispatch.ts";
import { buildBatch, type NewBatch } from "../../src/protocol/records.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryMetadata } from "./memory-metadata.ts";
import { MemoryStreams } from "./memory-streams.ts";
import { records, topicConfig } from "./owned-partition.ts";
import { seededRandom, silent } from "./seeded.ts";

const limits: LogLimits = {
  laneBatchesMax: 100,
  laneWaitMsMax: 5000,
  inflatedBytesMax: 64 * 1024 * 1024,
  producersMax: 1000,
  producerIdleMsMax: 86_400_000,
  maintenanceIntervalMs: 300_000,
  reopenIntervalMs: 300_000,
  streamsOpenedMax: 8,
  cleanerIntervalMs: 300_000,
  cleanerMapBytesMax: 100_000,
  cleanerBufferBytesMax: 10_000,
  cleanerBytesPerSecondMax: 1e9,
};

export class LogWorld {
  readonly metadata = new MemoryMetadata();
  readonly streams = new MemoryStreams();
  readonly clock = new ManualClock();
  readonly random = seededRandom(1);
  readonly failures: unknown[] = [];
  /** What retention must not pass. */
  hold: Offset | undefined;
  readonly log: LocalLog;

  constructor() {
    this.log = openLog({
      metadata: this.metadata,
      storage: this.streams,
      runtime: { clock: this.clock, random: this.random },
      slabs: new Slabs(),
      logger: silent,
      limits,
      topicConfig: (topic) => topicConfig(Object.fromEntries(topic.configs)),
      transactions: "accepted",
      holdRetention: () => (this.hold === undefined ? undefined : { upTo: this.hold, waits: true }),
      failed: (cause) => this.failures.push(cause),
    });
  }

  /** A topic whose partitions are open. */
  async topic(name: string, partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<Uuid> {
    const id = this.metadata.createTopic(name, partitions, configs);
    await this.log.settled();
    return id;
  }

  /** A topic of one partition that has been opened before: its leader epoch is 1. */
  async reopenedTopic(name: string): Promise<Uuid> {
    const id = this.metadata.createTopic(name, 1);
    this.metadata.apply([{ kind: "open-streams", streams: this.metadata.image.topic(id)?.partitions ?? [] }]);
    await this.log.settled();
    return id;
  }

  partition(topicId: Uuid, index = 0): Partition {
    const lookup = this.log.partition(topicId, index);
    if (lookup.kind !== "here") throw new Error(lookup.kind);
    return lookup.partition;
  }

  batch(count = 1, fields: Partial<NewBatch> = {}): Uint8Array {
    return buildBatch({ records: records(count, this.clock.now()), ...fields });
  }

  async fill(topicId: Uuid, index: number, batches: number, fields: Partial<NewBatch> = {}): Promise<void> {
    for (let count = 0; count < batches; count += 1) {
      await this.partition(topicId, index).append(this.batch(1, fields), { origin: "client", apiVersion: 13 });
    }
  }
}

export function context(fields: Partial<RequestContext> = {}): RequestContext {
  return {
    apiVersion: 13,
    correlationId: 1,
    clientId: "test",
    clientHost: "127.0.0.1",
    listener: "PLAINTEXT",
    principal: anonymous,
    signal: new AbortController().signal,
    ...fields,
  };
}

/** The error's name, so that a failing test speaks. */
export function named(code: number | undefined): ErrorName | undefined {
  return errorName(code ?? 0);
}

/** The response itself; a test that expects an answer fails on anything else. */
export function answered<Response>(response: Response | "no-response" | "close"): Response {
  if (response === "no-response" || response === "close") throw new Error(`the handler answered ${String(response)}`);
  return response;
}

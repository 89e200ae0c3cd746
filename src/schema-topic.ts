/** The log of the Schema Registry: the internal topic `_schemas`, made when it is first needed. */
import { sleep } from "./base/async.ts";
import { OperationFailed } from "./base/errors.ts";
import { type Uuid, uuidRandom } from "./base/ids.ts";
import type { Runtime } from "./base/runtime.ts";
import type { Log } from "./log/log.ts";
import { StateLog, type StateLogLimits } from "./log/state-log.ts";
import type { MetadataClient } from "./metadata/client.ts";
import type { LoggedRecord } from "./registry/registry-record.ts";
import type { SchemaLog } from "./registry/schema-registry.ts";

const schemasTopic = "_schemas";
const openPollMs = 20;
const openMsMax = 30_000;

export interface SchemaTopicOptions {
  readonly metadata: MetadataClient;
  readonly log: Log;
  readonly runtime: Runtime;
  readonly limits: StateLogLimits;
}

/** Resolves when the topic's partition is here, which makes it if need be. */
export async function openSchemaTopic(options: SchemaTopicOptions): Promise<SchemaLog> {
  const topicId = await ensureTopic(options);
  const state = await stateLog(options, topicId);
  return {
    append: async (key, value) => {
      const timestamp = options.runtime.clock.now();
      await state.append([{ key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestamp }]);
      return timestamp;
    },
    replay: () => records(state),
  };
}

async function ensureTopic({ metadata, runtime }: SchemaTopicOptions): Promise<Uuid> {
  const existing = metadata.image.topicByName(schemasTopic);
  if (existing !== undefined) return existing.id;
  const topicId = uuidRandom(runtime.random);
  const configs = new Map([["cleanup.policy", "compact"]]);
  const proposal = await metadata.propose([
    { kind: "create-topic", topicId, name: schemasTopic, partitions: 1, configs },
  ]);
  if (proposal.kind === "accepted") return topicId;
  const other = metadata.image.topicByName(schemasTopic); // Another node was faster.
  if (other !== undefined) return other.id;
  throw new OperationFailed(`cannot create ${schemasTopic}: ${proposal.refusal.reason}`, { happened: "no" });
}

async function stateLog({ log, runtime, limits }: SchemaTopicOptions, topicId: Uuid): Promise<StateLog> {
  const deadline = runtime.clock.monotonic() + openMsMax;
  for (;;) {
    const lookup = log.partition(topicId, 0);
    if (lookup.kind === "here") return new StateLog({ partition: lookup.partition, clock: runtime.clock, limits });
    if (runtime.clock.monotonic() > deadline)
      throw new OperationFailed(`${schemasTopic} did not open: ${lookup.kind}`, { happened: "no" });
    await sleep(runtime.clock, openPollMs);
  }
}

async function* records(state: StateLog): AsyncIterable<LoggedRecord> {
  for await (const { key, value, timestamp } of state.replay()) {
    yield { key: text(key), value: value === null ? null : text(value), timestampMs: timestamp };
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** Sends a sequence to both brokers, step by step, and says where their answers part. */
import { setTimeout as sleep } from "node:timers/promises";
import { uuidZero } from "../../src/base/ids.ts";
import type { ApiName } from "../../src/protocol/api-table.ts";
import { type Difference, differences } from "./compare.ts";
import { type Deviation, deviations } from "./deviations.ts";
import { normalised, type Plain } from "./normalise.ts";
import { hasPattern, isHeartbeat, settled } from "./settle.ts";
import { freshChars, type Step } from "./step.ts";
import { type Outcome, Target } from "./target.ts";

export interface Finding {
  readonly at: number;
  readonly step: Step;
  readonly differences: readonly Difference[];
  readonly kafka: Plain;
  readonly inlet: Plain;
}

export interface Result {
  readonly finding: Finding | undefined;
  readonly requests: number;
  /** What differed as the table of deviations says that it does. */
  readonly listed: ReadonlySet<Deviation>;
}

/** These may wait for other members; all else is answered, or the broker hangs. */
const mayWait: ReadonlySet<ApiName> = new Set(["joinGroup", "syncGroup"]);
/** Without an answer for so long a request counts as waiting. Kafka answers those that do not wait within a few ms. */
const waitingMs = 250;
const hangingMs = 5_000;

export interface Broker {
  readonly bootstrap: string;
  /** Where users authenticate. */
  readonly sasl: string;
  /** Of leaders: where a new topic begins. */
}

export interface Brokers {
  readonly kafka: Broker;
  readonly inlet: Broker;
}

export class Runner {
  readonly #brokers: Brokers;
  #runs = 0;
  /** How often each version of each API was sent: `produce 9`. */
  readonly sent = new Map<string, number>();

  constructor(brokers: Brokers) {
    this.#brokers = brokers;
  }

  async run(steps: readonly Step[]): Promise<Result> {
    this.#runs += 1;
    const prefix = `d${this.#runs.toString(36).padStart(freshChars - 2, "0")}-`;
    const startMs = Date.now();
    await using kafka = new Target({ ...this.#brokers.kafka, prefix, startMs });
    await using inlet = new Target({ ...this.#brokers.inlet, prefix, startMs });
    const run = new Run(kafka, inlet, this.sent);
    try {
      for (const [at, step] of steps.entries()) {
        const finding = await run.step(step, at);
        if (finding !== undefined) return { finding, requests: run.requests, listed: run.listed };
        if (run.isOver) break;
      }
      return { finding: undefined, requests: run.requests, listed: run.listed };
    } finally {
      await Promise.all([kafka, inlet].map((target) => deleteOwnTopics(target)));
    }
  }
}

interface Waiting {
  readonly step: Step;
  readonly at: number;
  readonly outcomes: readonly [kafka: Promise<Outcome>, inlet: Promise<Outcome>];
}

class Run {
  readonly #kafka: Target;
  readonly #inlet: Target;
  readonly #waiting = new Map<string, Waiting>();
  readonly listed = new Set<Deviation>();
  requests = 0;
  /** The brokers are in different states, and may be. */
  isOver = false;

  readonly sent: Map<string, number>;

  constructor(kafka: Target, inlet: Target, sent: Map<string, number>) {
    this.#kafka = kafka;
    this.#inlet = inlet;
    this.sent = sent;
  }

  async step(step: Step, at: number): Promise<Finding | undefined> {
    const before = this.#waiting.get(step.connection);
    if (before !== undefined) {
      const finding = await this.#settle(before);
      if (finding !== undefined) return finding;
      if (this.#waiting.has(step.connection)) return undefined; // It waits on both sides: the connection is taken.
    }
    // Kafka asks which of two was first, in whole milliseconds.
    if (step.api === "pushTelemetry" || step.api === "getTelemetrySubscriptions") await sleep(apartMs);
    this.requests += 1;
    const sent = `${step.api} ${step.mangle?.kind === "version" ? step.mangle.to : step.version}`;
    this.sent.set(sent, (this.sent.get(sent) ?? 0) + 1);
    const outcomes = [this.#kafka.send(step), this.#inlet.send(step)] as const;
    const finding = (await this.#settle({ step, at, outcomes })) ?? (await this.#settled(step, at));
    if (finding === undefined) await this.#untilApplied(step);
    // The initialization of a producer ends the transaction that it finds.
    if (step.api === "endTxn" || step.api === "initProducerId")
      await Promise.all([this.#kafka, this.#inlet].map((target) => untilEnded(target)));
    return finding;
  }

  /** Compares what came; keeps what waits on both sides. */
  async #settle(waiting: Waiting): Promise<Finding | undefined> {
    const { step, outcomes } = waiting;
    const patience = mayWait.has(step.api) ? waitingMs : hangingMs;
    let [kafka, inlet] = await Promise.all(outcomes.map((outcome) => within(outcome, patience)));
    // One of them may be slow rather than waiting.
    if ((kafka === undefined) !== (inlet === undefined))
      [kafka, inlet] = await Promise.all(outcomes.map((outcome) => within(outcome, waitingMs * 4)));
    this.#waiting.delete(step.connection);
    if (kafka === undefined && inlet === undefined) {
      this.#waiting.set(step.connection, waiting);
      return undefined;
    }
    return this.#compared(waiting, [
      kafka === undefined ? "waits" : normalised(this.#kafka, step, kafka),
      inlet === undefined ? "waits" : normalised(this.#inlet, step, inlet),
    ]);
  }

  #compared({ step, at }: Waiting, [kafka, inlet]: readonly [Plain, Plain]): Finding | undefined {
    const unlisted = differences(kafka, inlet).filter((difference) => {
      const deviation = deviations.find(
        (one) => one.apis.includes(step.api) && one.matches(difference, step, { kafka, inlet }),
      );
      if (deviation !== undefined) this.listed.add(deviation);
      if (deviation?.isLasting === true) this.isOver = true;
      return deviation === undefined;
    });
    return unlisted.length === 0 ? undefined : { at, step, differences: unlisted, kafka, inlet };
  }

  /** What one broker tells a member at once and the other at a later heartbeat is the same in the end. */
  async #settled(step: Step, at: number): Promise<Finding | undefined> {
    const isEarly = step.api === "shareGroupHeartbeat" && this.isOver;
    if (!isHeartbeat(step) || !(isEarly || hasPattern(step))) return undefined;
    this.isOver = true; // From here on their epochs differ.
    const difference = await settled(this.#kafka, this.#inlet, step);
    return difference === undefined ? undefined : { at, step, differences: [difference], ...difference };
  }

  /** Kafka answers when its controller knows; its broker knows a moment later. */
  async #untilApplied(step: Step): Promise<void> {
    if (changingTokens.has(step.api)) await sleep(tokensFollowMs);
    if ("shareSessionEpoch" in step.body && step.body.shareSessionEpoch === -1) await sleep(recordsFollowMs);
    if (!changing.has(step.api)) return;
    for (let tries = 0; tries < appliedTriesMax; tries += 1) {
      const [kafka, inlet] = await Promise.all([viewOf(this.#kafka), viewOf(this.#inlet)]);
      if (kafka === inlet) break;
      await sleep(10);
    }
    if (step.api === "createTopics" || step.api === "deleteTopics") await untilStatesFollow(this.#kafka);
  }
}

/** Kafka's coordinator of the states of share-partitions hears later of topics that were made or deleted. */
async function untilStatesFollow(target: Target): Promise<void> {
  const { topics } = await target.call("metadata", 12, { topics: null, allowAutoTopicCreation: false });
  const there = new Set(topics.map(({ topicId }) => topicId));
  const asked = [...target.topicIds.values()].map((topicId) => ({
    topicId,
    partitions: [{ partition: 0, leaderEpoch: 0 }],
  }));
  if (asked.length === 0) return;
  for (let tries = 0; tries < appliedTriesMax * 10; tries += 1) {
    const groupId = `${target.prefix}w`;
    const { results } = await target.call("readShareGroupStateSummary", 1, { groupId, topics: asked });
    if (results.every(({ topicId, partitions }) => (partitions[0]?.errorCode === 0) === there.has(topicId))) return;
    await sleep(10);
  }
}

/** Markers are written after the answer; until then the partitions are not what they will be. */
async function untilEnded(target: Target): Promise<void> {
  for (let tries = 0; tries < appliedTriesMax; tries += 1) {
    const { transactionStates } = await target.call("describeTransactions", 0, {
      transactionalIds: [`${target.prefix}t`],
    });
    if (!transactionStates.some(({ transactionState }) => transactionState.startsWith("Prepare"))) return;
    await sleep(10);
  }
}

const changing: ReadonlySet<ApiName> = new Set([
  "createTopics",
  "deleteTopics",
  "createPartitions",
  "alterConfigs",
  "incrementalAlterConfigs",
]);
const changingTokens: ReadonlySet<ApiName> = new Set([
  "createDelegationToken",
  "renewDelegationToken",
  "expireDelegationToken",
]);
/** Kafka's broker hears of its controller's tokens a moment later. */
const tokensFollowMs = 100;
/** Kafka answers a member that leaves, and then gives back what it held. */
const recordsFollowMs = 50;
const apartMs = 3;
const appliedTriesMax = 20;
const dynamicTopicConfig = 1;

/** This run's topics with their partitions and configs, and whether each partition can be read. */
async function viewOf(target: Target): Promise<string> {
  const { topics } = await target.call("metadata", 12, { topics: null, allowAutoTopicCreation: false });
  const own = topics.filter(({ name }) => name?.startsWith(target.prefix) === true);
  const names = own.map(({ name }) => name as string).sort();
  const offsets = await target.call("listOffsets", 7, {
    replicaId: -1,
    topics: own.map(({ name, partitions }) => ({
      name: name as string,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, timestamp: -1 })),
    })),
  });
  const configs = await target.call("describeConfigs", 4, {
    resources: names.map((resourceName) => ({ resourceType: 2, resourceName, configurationKeys: null })),
  });
  const readable = offsets.topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex, errorCode, offset }) => `${name} ${partitionIndex} ${errorCode} ${offset}`),
  );
  const set = configs.results.flatMap(({ resourceName, configs: all }) =>
    all
      .filter(({ configSource }) => configSource === dynamicTopicConfig)
      .map(({ name, value }) => `${resourceName} ${name} ${value}`),
  );
  return JSON.stringify([names, readable.sort(), set.sort()]);
}

async function deleteOwnTopics(target: Target): Promise<void> {
  const { topics } = await target.call("metadata", 12, { topics: null, allowAutoTopicCreation: false });
  const own = topics.filter(({ name }) => name?.startsWith(target.prefix) === true);
  if (own.length === 0) return;
  const named = own.map(({ name }) => ({ name, topicId: uuidZero }));
  await target.call("deleteTopics", 6, { topics: named, timeoutMs: 10_000 });
}

/** undefined when it takes longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  const stop = new AbortController();
  try {
    return await Promise.race([work, sleep(ms, undefined, { signal: stop.signal })]);
  } finally {
    stop.abort();
  }
}

/** Configs of groups, and of subscriptions to client metrics (KIP-714): names, types, defaults and bounds of Kafka 4.3. */
import type { ConfigCheck, ConfigRow, ConfigSynonym } from "./kafka-configs.ts";

const between = (min: number, max: number): ConfigCheck => ({ kind: "between", min, max });
const ms = (fallback: number, doc: string, check: ConfigCheck): ConfigRow => ({
  type: "int",
  default: String(fallback),
  doc,
  check,
});

const sessionMs = between(45_000, 60_000);
const heartbeatMs = between(5000, 15_000);
const assignmentMs = between(0, 15_000);

/** Operators may allow shorter locks than Kafka does as it ships. */
export function shareLockMs(min: number): ConfigCheck {
  return between(min, 60_000);
}

const rows: Readonly<Record<string, ConfigRow>> = {
  "consumer.session.timeout.ms": ms(45_000, "Silence after which a consumer group gives up on a member.", sessionMs),
  "consumer.heartbeat.interval.ms": ms(5000, "How often members of a consumer group say that they live.", heartbeatMs),
  "consumer.assignment.interval.ms": ms(1000, "Least time between two assignments of a consumer group.", assignmentMs),
  "share.session.timeout.ms": ms(45_000, "Silence after which a share group gives up on a member.", sessionMs),
  "share.heartbeat.interval.ms": ms(5000, "How often members of a share group say that they live.", heartbeatMs),
  "share.record.lock.duration.ms": ms(30_000, "How long a record is a member's alone.", shareLockMs(15_000)),
  "share.delivery.count.limit": {
    type: "int",
    default: "5",
    doc: "How often a record is delivered before it is given up.",
    check: between(2, 10),
  },
  "share.partition.max.record.locks": {
    type: "int",
    default: "2000",
    doc: "Records of a share-partition that may be locked at a time.",
    check: between(100, 4000),
  },
  "share.auto.offset.reset": {
    type: "string",
    default: "latest",
    doc: "Where a share group begins: latest, earliest, or by_duration: and an ISO 8601 duration.",
    check: { kind: "offset-reset" },
  },
  "share.isolation.level": {
    type: "string",
    default: "read_uncommitted",
    doc: "Whether a share group gets records of transactions that are not committed.",
    check: { kind: "one-of", values: ["read_committed", "read_uncommitted"] },
  },
  "share.renew.acknowledge.enable": {
    type: "boolean",
    default: "true",
    doc: "Whether members of a share group may ask for more time with a record.",
  },
  "share.assignment.interval.ms": ms(1000, "Least time between two assignments of a share group.", assignmentMs),
  "streams.session.timeout.ms": ms(45_000, "Silence after which a streams group gives up on a member.", sessionMs),
  "streams.heartbeat.interval.ms": ms(5000, "How often members of a streams group say that they live.", heartbeatMs),
  "streams.num.standby.replicas": {
    type: "int",
    default: "0",
    doc: "Standby copies of each task.",
    check: between(0, 2),
  },
  "streams.initial.rebalance.delay.ms": ms(3000, "How long a new streams group waits for more members.", {
    kind: "at-least",
    min: 0,
  }),
  "streams.assignment.interval.ms": ms(1000, "Least time between two assignments of a streams group.", assignmentMs),
};

/** Those that brokers have no default of. */
const ofGroupsAlone: ReadonlySet<string> = new Set([
  "share.auto.offset.reset",
  "share.isolation.level",
  "share.renew.acknowledge.enable",
]);

/** What a group is not told it has from the broker, whose config has the same name behind `group.`. */
export const groupConfigs: Readonly<Record<string, ConfigRow>> = Object.fromEntries(
  Object.entries(rows).map(([name, row]) => {
    const synonyms: readonly ConfigSynonym[] = ofGroupsAlone.has(name) ? [] : [{ name: `group.${name}`, scale: 1 }];
    return [name, { ...row, synonyms }];
  }),
);

/** The broker never waits for a member that it would have given up between two heartbeats. */
export const groupSessionHeartbeats = [
  ["consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"],
  ["share.session.timeout.ms", "share.heartbeat.interval.ms"],
  ["streams.session.timeout.ms", "streams.heartbeat.interval.ms"],
] as const;

export const clientMetricsConfigs = {
  metrics: {
    type: "list",
    default: "",
    doc: "Prefixes of the names of metrics that clients push; * for all of them.",
  },
  "interval.ms": {
    type: "int",
    default: "300000",
    doc: "How often clients push.",
    check: between(100, 3_600_000),
  },
  match: {
    type: "list",
    default: "",
    doc: "Which clients push: selector=pattern, all of which must match. Empty: every client.",
  },
} as const satisfies Readonly<Record<string, ConfigRow>>;

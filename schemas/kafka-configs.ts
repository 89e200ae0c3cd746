/**
 * Every topic config that Kafka 4.3 knows, and the three that 4.4 adds: name, type, default, bounds. Tables are configured in YAML alone.
 * A name that is accepted but has no meaning on object storage says so in its doc. Broker configs: kafka-broker-configs.ts.
 */

/** Numbers are those of DescribeConfigs. */
export const configTypeCodes = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
  class: 8,
  password: 9,
} as const;
export type ConfigType = keyof typeof configTypeCodes;

/** Numbers are those of DescribeConfigs. */
export const configSourceCodes = {
  "dynamic-topic": 1,
  "dynamic-broker": 2,
  "dynamic-default-broker": 3,
  "static-broker": 4,
  default: 5,
  "dynamic-broker-logger": 6,
  "client-metrics": 7,
  group: 8,
} as const;
export type ConfigSource = keyof typeof configSourceCodes;

export type ConfigCheck =
  | { readonly kind: "at-least"; readonly min: number }
  | { readonly kind: "between"; readonly min: number; readonly max: number }
  | { readonly kind: "one-of"; readonly values: readonly string[] }
  | { readonly kind: "list-of"; readonly values: readonly string[] }
  /** -1 (the library's choice), or 1 to 9. */
  | { readonly kind: "gzip-level" }
  /** latest, earliest, or `by_duration:` and an ISO 8601 duration. */
  | { readonly kind: "offset-reset" }
  /** `partition:broker` pairs, or `*`. */
  | { readonly kind: "throttled-replicas" };

/** A broker config that gives a topic's or a group's its default, `scale` of their units to one of its own. */
export interface ConfigSynonym {
  readonly name: string;
  readonly scale: number;
}

export interface ConfigRow {
  readonly type: ConfigType;
  /** As text; null where Kafka says null. */
  readonly default: string | null;
  readonly doc: string;
  readonly check?: ConfigCheck;
  /** In order of precedence. */
  readonly synonyms?: readonly ConfigSynonym[];
}

const longMax = "9223372036854775807";
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

const atLeast = (min: number): ConfigCheck => ({ kind: "at-least", min });
const oneOf = (...values: string[]): ConfigCheck => ({ kind: "one-of", values });
const listOf = (...values: string[]): ConfigCheck => ({ kind: "list-of", values });

function row(
  type: ConfigType,
  fallback: string | null,
  doc: string,
  check?: ConfigCheck,
  synonyms: readonly (string | ConfigSynonym)[] = [],
): ConfigRow {
  return {
    type,
    default: fallback,
    doc,
    ...(check === undefined ? {} : { check }),
    synonyms: synonyms.map((synonym) => (typeof synonym === "string" ? { name: synonym, scale: 1 } : synonym)),
  };
}

const noLocalFiles = "Accepted and kept; a partition has no segment files here.";

const kafkaTopicConfigs = {
  // The first that Kafka's answers name, too, by the order of its hashes; tests of clients look for it there.
  "compression.type": row(
    "string",
    "producer",
    "Codec in which batches are kept; producer keeps whatever the producer chose.",
    oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
    ["compression.type"],
  ),
  "cleanup.policy": row(
    "list",
    "delete",
    "What becomes of old records: delete removes them by age or size, compact keeps the last of each key; both may be given.",
    listOf("compact", "delete"),
    ["log.cleanup.policy"],
  ),
  "compression.gzip.level": row(
    "int",
    "-1",
    "Level when compression.type is gzip: 1 to 9, or -1 for the library's choice.",
    { kind: "gzip-level" },
    ["compression.gzip.level"],
  ),
  "compression.lz4.level": row(
    "int",
    "9",
    "Level when compression.type is lz4.",
    { kind: "between", min: 1, max: 17 },
    ["compression.lz4.level"],
  ),
  "compression.zstd.level": row(
    "int",
    "3",
    "Level when compression.type is zstd.",
    { kind: "between", min: -131072, max: 22 },
    ["compression.zstd.level"],
  ),
  "delete.retention.ms": row(
    "long",
    String(dayMs),
    "How long a compacted topic keeps a tombstone after the first clean that met it, so that readers can see the deletion.",
    atLeast(0),
    ["log.cleaner.delete.retention.ms"],
  ),
  "file.delete.delay.ms": row("long", "60000", noLocalFiles, atLeast(0), ["log.segment.delete.delay.ms"]),
  "flush.messages": row(
    "long",
    longMax,
    "Accepted and kept; every acknowledged record is durable whatever this says.",
    atLeast(1),
    ["log.flush.interval.messages"],
  ),
  "flush.ms": row(
    "long",
    longMax,
    "Accepted and kept; every acknowledged record is durable whatever this says.",
    atLeast(0),
    ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
  ),
  "follower.replication.throttled.replicas": row(
    "list",
    "",
    "Accepted and kept; the object store replicates, there are no followers to throttle.",
    { kind: "throttled-replicas" },
  ),
  "index.interval.bytes": row("int", "4096", noLocalFiles, atLeast(0), ["log.index.interval.bytes"]),
  "leader.replication.throttled.replicas": row(
    "list",
    "",
    "Accepted and kept; the object store replicates, there are no followers to throttle.",
    { kind: "throttled-replicas" },
  ),
  "local.retention.bytes": row(
    "long",
    "-2",
    "Accepted and kept; there is one tier, so retention.bytes decides.",
    atLeast(-2),
    ["log.local.retention.bytes"],
  ),
  "local.retention.ms": row(
    "long",
    "-2",
    "Accepted and kept; there is one tier, so retention.ms decides.",
    atLeast(-2),
    ["log.local.retention.ms"],
  ),
  "max.compaction.lag.ms": row(
    "long",
    longMax,
    "A compacted topic cleans a record at the latest this long after it was written.",
    atLeast(1),
    ["log.cleaner.max.compaction.lag.ms"],
  ),
  "max.message.bytes": row(
    "int",
    "1048588",
    "Largest record batch, after compression, that a producer may append.",
    atLeast(0),
    ["message.max.bytes"],
  ),
  "message.timestamp.after.max.ms": row(
    "long",
    String(hourMs),
    "How far a record's timestamp may lie ahead of the broker's clock when message.timestamp.type is CreateTime.",
    atLeast(0),
    ["log.message.timestamp.after.max.ms"],
  ),
  "message.timestamp.before.max.ms": row(
    "long",
    longMax,
    "How far a record's timestamp may lie behind the broker's clock when message.timestamp.type is CreateTime.",
    atLeast(0),
    ["log.message.timestamp.before.max.ms"],
  ),
  "message.timestamp.type": row(
    "string",
    "CreateTime",
    "Whether a record bears the time its producer gave or the time at which it was appended.",
    oneOf("CreateTime", "LogAppendTime"),
    ["log.message.timestamp.type"],
  ),
  "min.cleanable.dirty.ratio": row(
    "double",
    "0.5",
    "A compacted topic is cleaned when this share of its bytes was written since the last clean.",
    { kind: "between", min: 0, max: 1 },
    ["log.cleaner.min.cleanable.ratio"],
  ),
  "min.compaction.lag.ms": row(
    "long",
    "0",
    "A compacted topic leaves a record untouched at least this long after it was written.",
    atLeast(0),
    ["log.cleaner.min.compaction.lag.ms"],
  ),
  "min.insync.replicas": row(
    "int",
    "1",
    "Accepted and kept; a record is acknowledged when the WAL holds it durably.",
    atLeast(1),
    ["min.insync.replicas"],
  ),
  preallocate: row("boolean", "false", noLocalFiles, undefined, ["log.preallocate"]),
  "remote.copy.lag.bytes": row("long", "-1", "Accepted and kept; there is one tier.", atLeast(-1), [
    "log.remote.copy.lag.bytes",
  ]),
  "remote.copy.lag.ms": row("long", "0", "Accepted and kept; there is one tier.", atLeast(-1), [
    "log.remote.copy.lag.ms",
  ]),
  "remote.log.copy.disable": row("boolean", "false", "Accepted and kept; there is one tier."),
  "remote.log.delete.on.disable": row("boolean", "false", "Accepted and kept; there is one tier."),
  "remote.storage.enable": row("boolean", "false", "Accepted and kept; every topic lives in the object store."),
  "retention.bytes": row(
    "long",
    "-1",
    "Bytes that a partition under the delete policy keeps; -1 for no bound.",
    undefined,
    ["log.retention.bytes"],
  ),
  "retention.ms": row(
    "long",
    String(7 * dayMs),
    "How long a partition under the delete policy keeps a record; -1 for ever.",
    atLeast(-1),
    [
      "log.retention.ms",
      { name: "log.retention.minutes", scale: 60_000 },
      { name: "log.retention.hours", scale: hourMs },
    ],
  ),
  "segment.bytes": row(
    "int",
    "1073741824",
    "Largest record set of one produce request; the log itself is cut into objects by the uploader.",
    atLeast(1024 * 1024),
    ["log.segment.bytes"],
  ),
  "segment.index.bytes": row("int", "10485760", noLocalFiles, atLeast(4), ["log.index.size.max.bytes"]),
  "segment.jitter.ms": row("long", "0", noLocalFiles, atLeast(0), [
    "log.roll.jitter.ms",
    { name: "log.roll.jitter.hours", scale: hourMs },
  ]),
  "segment.ms": row("long", String(7 * dayMs), noLocalFiles, atLeast(1), [
    "log.roll.ms",
    { name: "log.roll.hours", scale: hourMs },
  ]),
  "unclean.leader.election.enable": row(
    "boolean",
    "false",
    "Accepted and kept; a new owner always has every acknowledged record.",
    undefined,
    ["unclean.leader.election.enable"],
  ),
} as const satisfies Readonly<Record<string, ConfigRow>>;

export type KafkaTopicConfigName = keyof typeof kafkaTopicConfigs;

export const topicConfigs: Readonly<Record<string, ConfigRow>> = kafkaTopicConfigs;

/**
 * Removed in Kafka 4.0, still sent by tools written before it: accepted and forgotten, so that such a tool can create a
 * topic. They are not described.
 */
export const retiredTopicConfigs: ReadonlySet<string> = new Set([
  "message.format.version",
  "message.timestamp.difference.max.ms",
  "message.downconversion.enable",
]);

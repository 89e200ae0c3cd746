/** Topic configs: raw texts in, a typed and effective TopicConfig out, and where each value came from. */
import { brokerConfigs } from "../../schemas/kafka-broker-configs.ts";
import {
  type ConfigRow,
  type ConfigSource,
  type KafkaTopicConfigName,
  retiredTopicConfigs,
  topicConfigs,
} from "../../schemas/kafka-configs.ts";
import { assert } from "../base/errors.ts";
import { configProblem, listItems } from "./config-check.ts";

/** What the log needs to know, from `effectiveTopicConfig`. A time or size beyond 2^53 is Number.MAX_SAFE_INTEGER: never. */
export interface TopicConfig {
  readonly cleanupPolicy: { readonly delete: boolean; readonly compact: boolean };
  readonly compressionType: "producer" | "uncompressed" | "gzip" | "snappy" | "lz4" | "zstd";
  readonly compressionLevels: { readonly gzip: number; readonly lz4: number; readonly zstd: number };
  readonly deleteRetentionMs: number;
  readonly compactionLagMsMin: number;
  readonly compactionLagMsMax: number;
  readonly messageBytesMax: number;
  readonly timestampType: "CreateTime" | "LogAppendTime";
  readonly timestampBeforeMsMax: number;
  readonly timestampAfterMsMax: number;
  readonly dirtyRatioMin: number;
  readonly insyncReplicasMin: number;
  /** -1: no bound. */
  readonly retentionBytes: number;
  /** -1: for ever. */
  readonly retentionMs: number;
  readonly segmentBytes: number;
  readonly segmentMs: number;
}

type Texts = ReadonlyMap<string, string>;

/** Where a topic's values come from, nearest first. Broker maps hold broker config names. */
export interface ConfigLayers {
  readonly topic: Texts;
  /** Set on this broker, on all brokers, and by this broker's own settings. */
  readonly broker: Texts;
  readonly brokerDefault: Texts;
  readonly brokerStatic: Texts;
}

export interface ConfigValue {
  readonly name: string;
  readonly value: string | null;
  readonly source: ConfigSource;
}

export function effectiveTopicConfig(layers: ConfigLayers): TopicConfig {
  const text = (name: KafkaTopicConfigName): string => resolveTopicConfig(name, layers).value ?? "";
  const number = (name: KafkaTopicConfigName): number =>
    Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, Number(text(name))));
  const policy = listItems(text("cleanup.policy"));
  return {
    cleanupPolicy: { delete: policy.includes("delete"), compact: policy.includes("compact") },
    compressionType: text("compression.type") as TopicConfig["compressionType"],
    compressionLevels: {
      gzip: number("compression.gzip.level"),
      lz4: number("compression.lz4.level"),
      zstd: number("compression.zstd.level"),
    },
    deleteRetentionMs: number("delete.retention.ms"),
    compactionLagMsMin: number("min.compaction.lag.ms"),
    compactionLagMsMax: number("max.compaction.lag.ms"),
    messageBytesMax: number("max.message.bytes"),
    timestampType: text("message.timestamp.type") as TopicConfig["timestampType"],
    timestampBeforeMsMax: number("message.timestamp.before.max.ms"),
    timestampAfterMsMax: number("message.timestamp.after.max.ms"),
    dirtyRatioMin: number("min.cleanable.dirty.ratio"),
    insyncReplicasMin: number("min.insync.replicas"),
    retentionBytes: number("retention.bytes"),
    retentionMs: number("retention.ms"),
    segmentBytes: number("segment.bytes"),
    segmentMs: number("segment.ms"),
  };
}

/** The value that counts, in the topic's own units. */
export function resolveTopicConfig(name: string, layers: ConfigLayers): ConfigValue {
  const row = topicConfigs[name];
  assert(row !== undefined, `no topic config is called ${name}`);
  const own = layers.topic.get(name);
  if (own !== undefined) return { name, value: own, source: "dynamic-topic" };
  const inherited = brokerValues(row, layers)[0];
  if (inherited === undefined) return { name, value: row.default, source: "default" };
  return { name, value: inherited.scaled, source: inherited.source };
}

/** Everything that has something to say about the value, the one that counts first. */
export function topicConfigSynonyms(name: string, layers: ConfigLayers): readonly ConfigValue[] {
  const row = topicConfigs[name];
  assert(row !== undefined, `no topic config is called ${name}`);
  const own = layers.topic.get(name);
  // As Kafka: of the defaults only that of the nearest synonym is shown, so log.retention.hours is not.
  const primary = row.synonyms?.[0];
  const fallback = primary === undefined ? null : (brokerConfigs[primary.name]?.default ?? null);
  return [
    ...(own === undefined ? [] : [{ name, value: own, source: "dynamic-topic" as const }]),
    ...brokerValues(row, layers).map(({ name: synonym, value, source }) => ({ name: synonym, value, source })),
    ...(primary === undefined || fallback === null
      ? []
      : [{ name: primary.name, value: fallback, source: "default" as const }]),
  ];
}

interface BrokerValue {
  readonly name: string;
  readonly value: string;
  readonly scaled: string;
  readonly source: ConfigSource;
}

function brokerValues(row: ConfigRow, layers: ConfigLayers): readonly BrokerValue[] {
  const sources = [
    ["dynamic-broker", layers.broker],
    ["dynamic-default-broker", layers.brokerDefault],
    ["static-broker", layers.brokerStatic],
  ] as const;
  return sources.flatMap(([source, texts]) =>
    (row.synonyms ?? []).flatMap(({ name, scale }) => {
      const value = texts.get(name);
      if (value === undefined) return [];
      return [{ name, value, source, scaled: scale === 1 ? value : String(BigInt(value) * BigInt(scale)) }];
    }),
  );
}

export type TopicConfigsChecked =
  | { readonly kind: "good"; readonly configs: Texts }
  | { readonly kind: "bad"; readonly problem: string };

/**
 * Checks a whole set of overrides, as it is to be kept. Aliases come out under our own names, retired names do not come
 * out at all. The problem is what INVALID_CONFIG carries as its text.
 */
export function checkTopicConfigs(given: ReadonlyMap<string, string | null>): TopicConfigsChecked {
  const nulls = [...given].filter(([, value]) => value === null).map(([name]) => name);
  if (nulls.length > 0) return bad(`Null value not supported for topic configs: ${nulls.join(",")}`);
  const configs = new Map<string, string>();
  for (const [name, givenValue] of given) {
    if (retiredTopicConfigs.has(name)) continue;
    const value = givenValue ?? "";
    const row = topicConfigs[name];
    if (row === undefined) return bad(`Unknown topic config name: ${name}`);
    const problem = configProblem(name, value, row);
    if (problem !== undefined) return bad(problem);
    configs.set(name, value);
  }
  const conflict = conflictIn(configs);
  return conflict === undefined ? { kind: "good", configs } : bad(conflict);
}

/** Rules between configs of one topic, over those that are set or else their defaults. */
function conflictIn(configs: Texts): string | undefined {
  const long = (name: KafkaTopicConfigName): bigint =>
    BigInt((configs.get(name) ?? topicConfigs[name]?.default ?? "0").trim());
  const [lagMin, lagMax] = [long("min.compaction.lag.ms"), long("max.compaction.lag.ms")];
  if (lagMin > lagMax) {
    return `conflict topic config setting min.compaction.lag.ms (${lagMin}) > max.compaction.lag.ms (${lagMax})`;
  }
  for (const [local, whole] of [
    ["local.retention.ms", "retention.ms"],
    ["local.retention.bytes", "retention.bytes"],
  ] as const) {
    if (configs.get("remote.storage.enable")?.trim().toLowerCase() !== "true") break;
    const [part, all] = [long(local), long(whole)];
    if (all >= 0n && (part === -1n || part > all)) {
      return `Invalid value ${part} for configuration ${local}: Value must not be more than property ${whole} value: ${all}`;
    }
  }
  return undefined;
}

function bad(problem: string): TopicConfigsChecked {
  return { kind: "bad", problem };
}

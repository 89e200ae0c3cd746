// Proves: every Kafka topic config is known, checked in Kafka's words, and resolved from the nearest layer that speaks.
import { describe, expect, test } from "vitest";
import { brokerConfigs } from "../../schemas/kafka-broker-configs.ts";
import { topicConfigs } from "../../schemas/kafka-configs.ts";
import { configProblem } from "../../src/log/config-check.ts";
import {
  type ConfigLayers,
  checkTopicConfigs,
  effectiveTopicConfig,
  resolveTopicConfig,
  topicConfigSynonyms,
} from "../../src/log/topic-config.ts";

const none: ConfigLayers = { topic: new Map(), broker: new Map(), brokerDefault: new Map(), brokerStatic: new Map() };

describe("the tables", () => {
  test("hold Kafka's 33 names of 4.3 and two of the three of 4.4", () => {
    expect(Object.keys(topicConfigs)).toHaveLength(35);
  });

  test("have defaults that pass their own checks", () => {
    for (const [name, row] of [...Object.entries(topicConfigs), ...Object.entries(brokerConfigs)]) {
      if (row.default !== null) expect(configProblem(name, row.default, row), name).toBeUndefined();
      expect(row.doc.length, name).toBeGreaterThan(5);
    }
  });

  test("give every synonym a broker config", () => {
    for (const row of Object.values(topicConfigs)) {
      for (const synonym of row.synonyms ?? []) expect(brokerConfigs).toHaveProperty([synonym.name]);
    }
  });
});

describe("checking", () => {
  test.each([
    ["retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"],
    ["retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"],
    [
      "retention.ms",
      "9223372036854775808",
      "Invalid value 9223372036854775808 for configuration retention.ms: Not a number of type LONG",
    ],
    ["segment.bytes", "1024", "Invalid value 1024 for configuration segment.bytes: Value must be at least 1048576"],
    [
      "max.message.bytes",
      "2147483648",
      "Invalid value 2147483648 for configuration max.message.bytes: Not a number of type INT",
    ],
    [
      "compression.zstd.level",
      "23",
      "Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22",
    ],
    [
      "compression.gzip.level",
      "0",
      "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
    ],
    [
      "preallocate",
      "yes",
      "Invalid value yes for configuration preallocate: Expected value to be either true or false",
    ],
    [
      "min.cleanable.dirty.ratio",
      "1.5",
      "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
    ],
    [
      "cleanup.policy",
      "keep",
      "Invalid value keep for configuration cleanup.policy: String must be one of: compact, delete",
    ],
    ["no.such", "1", "Unknown topic config name: no.such"],
  ])("%s=%s is refused", (name, value, problem) => {
    expect(checkTopicConfigs(new Map([[name, value]]))).toEqual({ kind: "bad", problem });
  });

  test.each([
    ["retention.ms", "9223372036854775807"],
    ["retention.bytes", "-1"],
    ["cleanup.policy", "compact, delete"],
    ["cleanup.policy", "delete,delete"],
    ["leader.replication.throttled.replicas", "0:1,1:2"],
    ["follower.replication.throttled.replicas", "*"],
  ])("%s=%s is taken", (name, value) => {
    expect(checkTopicConfigs(new Map([[name, value]]))).toEqual({ kind: "good", configs: new Map([[name, value]]) });
  });

  test("a null is refused by name", () => {
    expect(checkTopicConfigs(new Map([["retention.ms", null]]))).toEqual({
      kind: "bad",
      problem: "Null value not supported for topic configs: retention.ms",
    });
  });

  test("names that Kafka 4 removed are forgotten", () => {
    expect(checkTopicConfigs(new Map([["message.format.version", "2.8"]]))).toEqual({
      kind: "good",
      configs: new Map(),
    });
  });

  test.each(["inlet.table.enable", "automq.table.topic.enable"])(
    "%s is unknown: nothing here would read it",
    (name) => {
      const problem = `Unknown topic config name: ${name}`;
      expect(checkTopicConfigs(new Map([[name, "true"]]))).toEqual({ kind: "bad", problem });
    },
  );

  test("the two compaction lags must agree", () => {
    const given = new Map([
      ["min.compaction.lag.ms", "10"],
      ["max.compaction.lag.ms", "5"],
    ]);
    expect(checkTopicConfigs(given)).toMatchObject({ kind: "bad" });
  });
});

describe("resolving", () => {
  test("defaults are Kafka's, with what is beyond 2^53 brought down to never", () => {
    expect(effectiveTopicConfig(none)).toEqual({
      cleanupPolicy: { delete: true, compact: false },
      compressionType: "producer",
      compressionLevels: { gzip: -1, lz4: 9, zstd: 3 },
      deleteRetentionMs: 86_400_000,
      compactionLagMsMin: 0,
      compactionLagMsMax: Number.MAX_SAFE_INTEGER,
      messageBytesMax: 1_048_588,
      timestampType: "CreateTime",
      timestampBeforeMsMax: Number.MAX_SAFE_INTEGER,
      timestampAfterMsMax: 3_600_000,
      dirtyRatioMin: 0.5,
      insyncReplicasMin: 1,
      retentionBytes: -1,
      retentionMs: 604_800_000,
      segmentBytes: 1_073_741_824,
      segmentMs: 604_800_000,
    });
  });

  test("the nearest layer wins, and synonyms are scaled", () => {
    const layers: ConfigLayers = {
      topic: new Map(),
      broker: new Map(),
      brokerDefault: new Map([["log.retention.hours", "2"]]),
      brokerStatic: new Map([["log.retention.ms", "5"]]),
    };
    expect(resolveTopicConfig("retention.ms", layers)).toEqual({
      name: "retention.ms",
      value: "7200000",
      source: "dynamic-default-broker",
    });
    const own = { ...layers, topic: new Map([["retention.ms", "-1"]]) };
    expect(effectiveTopicConfig(own).retentionMs).toBe(-1);
    expect(topicConfigSynonyms("retention.ms", own)).toEqual([
      { name: "retention.ms", value: "-1", source: "dynamic-topic" },
      { name: "log.retention.hours", value: "2", source: "dynamic-default-broker" },
      { name: "log.retention.ms", value: "5", source: "static-broker" },
    ]);
  });
});

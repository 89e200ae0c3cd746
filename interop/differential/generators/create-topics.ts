import type { Draw } from "../draw.ts";
import type { Generator } from "../generator.ts";
import { fresh } from "../step.ts";

export const createTopics: Generator<"createTopics"> = (draw) => ({
  api: "createTopics",
  version: draw.version("createTopics"),
  connection: "main",
  body: {
    topics: draw.some(3, () => topic(draw), draw.chance(0.95) ? 1 : 0),
    timeoutMs: draw.mostly(10_000, [30_000]),
    validateOnly: draw.chance(0.2),
  },
});

function topic(draw: Draw) {
  const isAssigned = draw.chance(0.15);
  return {
    name: draw.mostly(`${fresh}${draw.of(["c", "d", "e"])}`, [draw.topic()], 0.4),
    numPartitions: isAssigned ? draw.mostly(-1, [1]) : draw.mostly(1 + draw.int(2), [-1, 0, -2, 20_000], 0.2),
    replicationFactor: isAssigned ? draw.mostly(-1, [1]) : draw.mostly(draw.of([1, -1]), [0, -2, 2, 3], 0.15),
    assignments: isAssigned ? assignments(draw) : [],
    configs: draw.chance(0.4) ? draw.some(2, () => topicConfig(draw)) : [],
  };
}

function assignments(draw: Draw) {
  return draw.some(
    2,
    () => ({
      partitionIndex: draw.mostly(0, [1, -1, 5], 0.5),
      brokerIds: draw.mostly([1], [[], [2], [1, 1], [-1]], 0.4),
    }),
    1,
  );
}

/** Names and values, right and wrong. */
export function topicConfig(draw: Draw): { readonly name: string; readonly value: string | null } {
  const name = draw.of(Object.keys(values) as (keyof typeof values)[]);
  return { name, value: draw.of<string | null>(values[name]) };
}

const values = {
  "cleanup.policy": [
    "compact",
    "delete",
    "compact,delete",
    "none",
    "",
    "delete,delete",
    "COMPACT",
    " compact , delete ",
  ],
  "retention.ms": ["1000000000", "-1", "-2", "x", "", "9223372036854775807", "1.5", null],
  "retention.bytes": ["-1", "1048576", "-2", "1e3"],
  "segment.bytes": ["1048576", "13", "14", "1048575", "2147483648"],
  "segment.ms": ["1", "0", "604800000"],
  "max.message.bytes": ["1048588", "0", "-1", "1000"],
  "min.insync.replicas": ["1", "0", "2"],
  "compression.type": ["producer", "gzip", "lz4", "zstd", "snappy", "uncompressed", "none", "GZIP"],
  "compression.gzip.level": ["1", "9", "10", "0", "-1"],
  "compression.zstd.level": ["3", "23"],
  "compression.lz4.level": ["9", "18"],
  "message.timestamp.type": ["CreateTime", "LogAppendTime", "createtime"],
  "message.timestamp.before.max.ms": ["1000", "-1", "9223372036854775807"],
  "message.timestamp.after.max.ms": ["3600000", "x"],
  "min.cleanable.dirty.ratio": ["0.5", "1.1", "-0.1", "0", "abc"],
  "unclean.leader.election.enable": ["true", "false", "yes", "TRUE"],
  preallocate: ["false", "true", "0"],
  "index.interval.bytes": ["4096", "-1"],
  "segment.index.bytes": ["10485760", "3"],
  "segment.jitter.ms": ["0", "-1"],
  "flush.messages": ["1", "0", "9223372036854775807"],
  "flush.ms": ["1000", "-1"],
  "file.delete.delay.ms": ["60000", "-1"],
  "delete.retention.ms": ["86400000", "-1"],
  "min.compaction.lag.ms": ["0", "-1"],
  "max.compaction.lag.ms": ["1", "0"],
  "follower.replication.throttled.replicas": ["*", "", "0:1", "x"],
  "remote.storage.enable": ["false", "false", "false", "true"],
  "local.retention.ms": ["-2", "-3", "100"],
  "local.retention.bytes": ["-2", "5"],
  "message.format.version": ["2.8"],
  "message.downconversion.enable": ["true"],
  "no.such.config": ["1", "", null],
  "": ["1"],
} as const;

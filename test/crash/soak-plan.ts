/** What a soak does to the broker, and how much of the bucket that may take. */
import type { Lane } from "./soak-records.ts";
import { valueBytes } from "./soak-records.ts";

const MB = 1_000_000;
const MiB = 1024 * 1024;

interface TopicPlan {
  readonly name: string;
  readonly partitions: number;
  /** Of the rate of all. */
  readonly share: number;
  readonly keys: number;
  readonly retentionMs: number;
  readonly retentionBytes: number;
}

export const topics: readonly TopicPlan[] = [
  { name: "by-time", partitions: 4, share: 0.4, keys: 0, retentionMs: 60_000, retentionBytes: -1 },
  { name: "by-size", partitions: 4, share: 0.4, keys: 0, retentionMs: -1, retentionBytes: 64 * MiB },
  { name: "by-both", partitions: 2, share: 0.1, keys: 0, retentionMs: 30_000, retentionBytes: 32 * MiB },
  { name: "compacted", partitions: 2, share: 0.1, keys: 5_000, retentionMs: -1, retentionBytes: -1 },
];

/** Everything that goes on in the background goes on every few seconds. */
const uploadMs = 2_000;
const backgroundMs = 5_000;
const graceMs = 10_000;
const objectBytesMax = 64 * MiB;

export function brokerConfig(wal: string): Readonly<Record<string, object>> {
  return {
    wal: { kind: wal },
    stream: {
      upload: { interval: { ms: { max: uploadMs } } },
      merge: { interval: { ms: backgroundMs }, object: { bytes: { max: objectBytesMax } } },
      garbage: { interval: { ms: backgroundMs }, grace: { ms: graceMs } },
      orphan: { age: { ms: { min: 60_000 } } },
    },
    log: { maintenance: { interval: { ms: backgroundMs } } },
    cleaner: { interval: { ms: backgroundMs } },
  };
}

export function topicConfigs(topic: TopicPlan): readonly { readonly name: string; readonly value: string }[] {
  const policy = topic.keys > 0 ? "compact" : "delete";
  return [
    { name: "cleanup.policy", value: policy },
    { name: "retention.ms", value: String(topic.retentionMs) },
    { name: "retention.bytes", value: String(topic.retentionBytes) },
  ];
}

export function lanesOf(topic: TopicPlan): readonly Lane[] {
  const { name, partitions, keys, retentionMs, retentionBytes } = topic;
  return Array.from({ length: partitions }, (_, partition) => {
    return { topic: name, partition, keys, retentionMs, retentionBytes, acked: 0, marks: [] };
  });
}

export function laneBytesPerSecond(topic: TopicPlan, mbPerSecond: number): number {
  return (mbPerSecond * MB * topic.share) / topic.partitions;
}

/**
 * Most that the bucket may hold: what the topics' configs keep, a merged object's worth of each partition, since retention goes in
 * steps of those, and what was written while the background comes round once, as often as a byte is written: as it
 * comes, merged by its stream, and merged with its neighbours.
 */
export function bucketBytesMax(mbPerSecond: number): number {
  const copies = 3;
  const roundMs = uploadMs + 3 * backgroundMs + graceMs;
  const kept = topics.reduce((sum, topic) => sum + topic.partitions * keptBytes(topic, mbPerSecond), 0);
  const steps = topics.reduce((sum, { partitions }) => sum + partitions, 0) * objectBytesMax;
  return kept + steps + copies * mbPerSecond * MB * (roundMs / 1000);
}

/** Of a partition. A compacted one is cleaned when half of it is dirty. */
function keptBytes(topic: TopicPlan, mbPerSecond: number): number {
  if (topic.keys > 0) return 2 * topic.keys * valueBytes;
  const byTime = topic.retentionMs < 0 ? Infinity : laneBytesPerSecond(topic, mbPerSecond) * (topic.retentionMs / 1000);
  return Math.min(byTime, topic.retentionBytes < 0 ? Infinity : topic.retentionBytes);
}

/** What is wrong with the beginning of a log; `nowMs` is from after it was asked for. undefined when retention kept what it must. */
export function lostToRetention(lane: Lane, start: number, nowMs: number): string | undefined {
  if (start === 0) return undefined;
  if (lane.keys > 0) return `${lane.topic}/${lane.partition} begins at ${start}: what is compacted keeps its keys`;
  const last = lane.marks.findLast(({ from }) => from < start);
  const isOldEnough = lane.retentionMs >= 0 && (last === undefined || nowMs - last.timestamp > lane.retentionMs);
  const isLargeEnough = lane.retentionBytes >= 0 && (lane.acked - start) * (valueBytes + 64) >= lane.retentionBytes;
  if (isOldEnough || isLargeEnough) return undefined;
  return `${lane.topic}/${lane.partition} begins at ${start} of ${lane.acked}: that is too late`;
}

/** What the parts know, as the metrics table names it: gauges and counters that are read when somebody scrapes. */
import { quotaKeys } from "./access/quota-entity.ts";
import type { Core, CoreMetrics } from "./core.ts";
import type { ObjectStoreMetrics } from "./object-store/measured.ts";
import type { StorePrices } from "./object-store/prices.ts";
import { apiNames } from "./protocol/api-table.ts";
import type { MetricRegistry } from "./telemetry/metrics.ts";
import type { Metrics, metricsTable } from "./telemetry/metrics-table.ts";

export function coreMetrics(metrics: Metrics): CoreMetrics {
  // Shown before they count: a rate over a series that begins with its first event misses that event.
  for (const because of ["missing", "corrupt"]) metrics.unreadableReads.add(0, { because });
  for (const because of ["unnamed", "orphan"]) metrics.garbageObjects.add(0, { because });
  metrics.mergedBytes.add(0);
  metrics.walIsAlone.set(0); // Stays so in a WAL that is not replicated.
  for (const api of apiNames) metrics.accessDenied.add(0, { api });
  for (const quota of quotaKeys) {
    metrics.throttledRequests.add(0, { quota });
    metrics.throttledSeconds.add(0, { quota });
  }
  for (const winner of ["first", "second"]) metrics.hedgedUploads.add(0, { winner });
  return {
    generationsQueued: metrics.generationsQueued,
    logCacheBytes: metrics.logCacheBytes,
    uncommittedBytes: metrics.uncommittedBytes,
    walBytes: metrics.walUntrimmedBytes,
    walIsAlone: metrics.walIsAlone,
    metadataMirrorLag: metrics.metadataMirrorLag,
    unreadableReads: metrics.unreadableReads,
    hedgedUploads: metrics.hedgedUploads,
    accessDenied: metrics.accessDenied,
    throttledRequests: metrics.throttledRequests,
    throttledSeconds: metrics.throttledSeconds,
    mergedBytes: metrics.mergedBytes,
    garbageObjects: metrics.garbageObjects,
  };
}

/** The store measures in milliseconds, the metric is in seconds. */
export function storeMetrics(metrics: Metrics, prices: StorePrices): ObjectStoreMetrics {
  const { storeRequests, storeBytes, storeSeconds, storeDollars } = metrics;
  return {
    requests: storeRequests,
    bytes: storeBytes,
    dollars: storeDollars,
    prices,
    latencyMs: { observe: (ms, labels) => storeSeconds.observe(ms / 1000, labels) },
  };
}

/** Shows partitions, topics, groups and objects in the registry until disposed of. */
export function collectMetrics(registry: MetricRegistry<typeof metricsTable>, core: Core): Disposable {
  return registry.collect(
    [
      "messagesIn",
      "bytesIn",
      "bytesOut",
      "cleanedBytes",
      "recordsLost",
      "retentionHeldBytes",
      "retentionHeldSeconds",
      "partitionCount",
      "leaderCount",
      "partitionsUnderReplicated",
      "activeControllers",
      "partitionsOffline",
      "logBytes",
      "topicPartitions",
      "partitionEnd",
      "partitionStart",
      "groupLag",
      "groupOffset",
      "groupMembers",
      "clientMetric",
      "objects",
      "metadataSeq",
    ],
    (metrics) => {
      showPartitions(metrics, core);
      showGroups(metrics, core);
      const { image } = core.metadata;
      for (const topic of image.topics()) metrics.topicPartitions.set(topic.partitions.length, { topic: topic.name });
      const objects = { "stream-set": 0, stream: 0 };
      for (const object of image.objects()) objects[object.kind] += 1;
      for (const [kind, count] of Object.entries(objects)) metrics.objects.set(count, { kind });
      metrics.metadataSeq.set(image.seq);
      showClients(metrics, core);
    },
  );
}

function showPartitions(metrics: Metrics, { log }: Core): void {
  let count = 0;
  for (const partition of log.partitions()) {
    count += 1;
    const topic = { topic: partition.topic };
    const labels = { ...topic, partition: String(partition.index) };
    metrics.messagesIn.add(partition.counts.recordsIn, topic);
    metrics.bytesIn.add(partition.counts.bytesIn, topic);
    metrics.bytesOut.add(partition.counts.bytesOut, topic);
    metrics.cleanedBytes.add(partition.counts.bytesCleaned, topic);
    const { held, lost } = partition.retained;
    if (held !== undefined) {
      metrics.recordsLost.add(lost, topic);
      metrics.retentionHeldBytes.set(held.bytes, labels);
      metrics.retentionHeldSeconds.set(held.overdueMs / 1000, labels);
    }
    metrics.logBytes.set(partition.bytes, labels);
    metrics.partitionEnd.set(partition.highWatermark, labels);
    metrics.partitionStart.set(partition.logStart, labels);
  }
  metrics.partitionCount.set(count);
  metrics.leaderCount.set(count);
  metrics.partitionsUnderReplicated.set(0);
  metrics.partitionsOffline.set(0);
  metrics.activeControllers.set(1);
}

function showGroups(metrics: Metrics, { coordinator, log, metadata }: Core): void {
  for (const group of coordinator.loadedShards().shards.flatMap((shard) => [...shard.groups()])) {
    metrics.groupMembers.set(group.classic.members.size, { consumergroup: group.id });
    for (const at of group.offsets.all()) {
      const offset = group.offsets.get(at)?.offset ?? 0;
      const labels = { consumergroup: group.id, topic: at.topic, partition: String(at.partition) };
      metrics.groupOffset.set(offset, labels);
      const topicId = metadata.image.topicByName(at.topic)?.id;
      const lookup = topicId === undefined ? undefined : log.partition(topicId, at.partition);
      if (lookup?.kind === "here") metrics.groupLag.set(Math.max(0, lookup.partition.highWatermark - offset), labels);
    }
  }
}

function showClients(metrics: Metrics, { clientTelemetry }: Core): void {
  for (const { metric, part, at, clientId, clientInstanceId, attributes, value } of clientTelemetry.samples()) {
    const labels = { metric, client_id: clientId, client_instance_id: clientInstanceId, attributes };
    switch (part) {
      case "value":
        metrics.clientMetric.set(value, labels);
        break;
      case "count":
        metrics.clientMetricCount.set(value, labels);
        break;
      case "sum":
        metrics.clientMetricSum.set(value, labels);
        break;
      case "bucket":
        metrics.clientMetricBucket.set(value, { ...labels, le: at });
        break;
      case "quantile":
        metrics.clientMetricQuantile.set(value, { ...labels, quantile: at });
        break;
    }
  }
}

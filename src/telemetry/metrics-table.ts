/**
 * Every metric there is. The kafka_* names are those of the JMX exporter's and kafka_exporter's usual rules, so that existing
 * dashboards show this broker; what is our own begins with inlet_. The unit ends the name.
 */
import type { MetricDeclaration, MetricsOf } from "./metrics.ts";

/** In seconds, from the fastest write of a disk to a request that timed out. */
const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const topic = ["topic"] as const;
const partition = ["topic", "partition"] as const;
const clientMetric = ["metric", "client_id", "client_instance_id", "attributes"] as const;

export const metricsTable = {
  messagesIn: counter("kafka_server_brokertopicmetrics_messagesin_total", topic, "Records appended by producers."),
  bytesIn: counter(
    "kafka_server_brokertopicmetrics_bytesin_total",
    topic,
    "Bytes of record batches received from producers.",
  ),
  bytesOut: counter(
    "kafka_server_brokertopicmetrics_bytesout_total",
    topic,
    "Bytes of record batches sent to consumers.",
  ),

  partitionCount: gauge("kafka_server_replicamanager_partitioncount", [], "Partitions of this broker."),
  leaderCount: gauge("kafka_server_replicamanager_leadercount", [], "Partitions that this broker leads."),
  partitionsUnderReplicated: gauge(
    "kafka_server_replicamanager_underreplicatedpartitions",
    [],
    "Always 0: durability is the store's.",
  ),
  activeControllers: gauge(
    "kafka_controller_kafkacontroller_activecontrollercount",
    [],
    "1 on the broker that acts as the controller.",
  ),
  partitionsOffline: gauge(
    "kafka_controller_kafkacontroller_offlinepartitionscount",
    [],
    "Partitions without a leader.",
  ),
  logBytes: gauge("kafka_log_log_size", partition, "Bytes kept of a partition."),
  connections: gauge(
    "kafka_server_socket_server_metrics_connection_count",
    ["listener"],
    "Open connections of a listener.",
  ),

  groupLag: gauge(
    "kafka_consumergroup_lag",
    ["consumergroup", ...partition],
    "Records between a group's committed offset and the end.",
  ),
  groupOffset: gauge(
    "kafka_consumergroup_current_offset",
    ["consumergroup", ...partition],
    "Offset that a group has committed.",
  ),
  groupMembers: gauge("kafka_consumergroup_members", ["consumergroup"], "Members of a group."),
  topicPartitions: gauge("kafka_topic_partitions", topic, "Partitions of a topic."),
  partitionEnd: gauge("kafka_topic_partition_current_offset", partition, "The high watermark of a partition."),
  partitionStart: gauge("kafka_topic_partition_oldest_offset", partition, "The first offset kept of a partition."),

  clientMetric: gauge(
    "inlet_client_metric",
    clientMetric,
    "What clients pushed last of their own metrics, as far as subscriptions to client metrics ask for them.",
  ),
  clientMetricCount: gauge(
    "inlet_client_metric_count",
    clientMetric,
    "The same of histograms and summaries: how many values there were.",
  ),
  clientMetricSum: gauge("inlet_client_metric_sum", clientMetric, "The same: the sum of the values."),
  clientMetricBucket: gauge(
    "inlet_client_metric_bucket",
    [...clientMetric, "le"],
    "The same of histograms: how many values were at most le.",
  ),
  clientMetricQuantile: gauge(
    "inlet_client_metric_quantile",
    [...clientMetric, "quantile"],
    "The same of summaries: below it was that part of the values.",
  ),

  requestSeconds: histogram(
    "inlet_request_seconds",
    ["api"],
    "From the last byte of a request to its answer, waits included.",
  ),
  requestsInFlight: gauge("inlet_requests_in_flight", [], "Requests that are being answered."),
  requestBytesHeld: gauge("inlet_request_bytes_held", [], "Bytes of request frames in memory."),
  answerBytesHeld: gauge("inlet_response_bytes_held", [], "Bytes of answers that clients have not read yet."),

  throttledRequests: counter(
    "inlet_quota_throttled_total",
    ["quota"],
    "Requests, or connections, whose client had used up a quota.",
  ),
  throttledSeconds: counter("inlet_quota_throttle_seconds_total", ["quota"], "Pauses that clients were told to make."),
  accessDenied: counter(
    "inlet_access_denied_total",
    ["api"],
    "Operations that the ACLs denied, by the API that asked.",
  ),

  walUntrimmedBytes: gauge(
    "inlet_wal_untrimmed_bytes",
    [],
    "Bytes of the WAL that are in no committed object: what a recovery would replay.",
  ),

  walIsAlone: gauge(
    "inlet_wal_is_alone",
    [],
    "1 while a WAL of kind replicated has lost one of its two and goes on with the other.",
  ),
  logCacheBytes: gauge("inlet_log_cache_bytes", [], "Bytes in the log cache."),
  uncommittedBytes: gauge(
    "inlet_uncommitted_bytes",
    [],
    "Bytes that are durable in the WAL and in no committed object.",
  ),
  generationsQueued: gauge("inlet_generations_queued", [], "Generations of the log cache that are being uploaded."),

  hedgedUploads: counter(
    "inlet_hedged_uploads_total",
    ["winner"],
    "Uploads that were slow and sent a second time, by which copy was there first.",
  ),
  mergedBytes: counter("inlet_merged_bytes_total", [], "Bytes of the objects that merges made out of smaller ones."),
  garbageObjects: counter(
    "inlet_garbage_objects_total",
    ["because"],
    "Objects removed from the object store: no stream names them any more, or they are rests of crashed uploads.",
  ),
  cleanedBytes: counter("inlet_cleaned_bytes_total", topic, "Bytes that cleaning took out of compacted topics."),
  retentionHeldBytes: gauge(
    "inlet_retention_held_bytes",
    partition,
    "Bytes that retention would have taken, and that wait until the topic's table holds them. Above 0 for long is an alarm.",
  ),
  retentionHeldSeconds: gauge(
    "inlet_retention_held_seconds",
    partition,
    "How long the oldest of them are due by their age.",
  ),
  recordsLost: counter(
    "inlet_retention_lost_records_total",
    topic,
    "Offsets that retention took before the topic's table held them, as the topic's policy lets it. Any at all is an alarm.",
  ),
  unreadableReads: counter(
    "inlet_unreadable_reads_total",
    ["because"],
    "Reads that found an object missing or corrupt. Any at all is an alarm: acknowledged records cannot be read.",
  ),

  objects: gauge("inlet_objects", ["kind"], "Objects that the metadata names."),

  storeRequests: counter(
    "inlet_store_requests_total",
    ["operation", "outcome"],
    "Requests to the object store, repeats included.",
  ),
  storeSeconds: histogram(
    "inlet_store_request_seconds",
    ["operation"],
    "Time that a request to the object store took.",
  ),
  storeDollars: counter(
    "inlet_store_dollars_total",
    ["class"],
    "What the requests to the object store, and the bytes moved, cost at the prices of the settings.",
  ),
  storeBytes: counter("inlet_store_bytes_total", ["direction"], "Bytes sent to and received from the object store."),

  metadataMirrorLag: gauge(
    "inlet_metadata_mirror_lag_entries",
    [],
    "Entries of the metadata log that its copy in the bucket does not hold yet.",
  ),
  metadataSeq: gauge(
    "inlet_metadata_seq",
    [],
    "Sequence number of the newest entry of the metadata log that was applied.",
  ),

  translationLag: gauge(
    "inlet_table_pending_translation_lag",
    partition,
    "Records that are stable in the log and in no data file.",
  ),
  commitLag: gauge("inlet_table_pending_commit_lag", partition, "Records that are in data files and in no snapshot."),
  tableRows: counter("inlet_table_rows_total", topic, "Rows translated."),
  tableFiles: counter("inlet_table_files_total", topic, "Data files written."),
  tableFileBytes: counter("inlet_table_file_bytes_total", topic, "Bytes of data files written."),
  tableInvalid: counter(
    "inlet_table_invalid_records_total",
    ["topic", "cause"],
    "Records that could not become a row.",
  ),
  tableCrossingKeys: counter(
    "inlet_table_crossing_keys_total",
    topic,
    "Keys of upsert tables that came from several topic partitions at once, where only timestamps say which came last.",
  ),
  tableCommits: counter(
    "inlet_table_commits_total",
    ["topic", "outcome"],
    "Commits tried; outcome is committed, conflict, unknown or failed.",
  ),
  tableCommitSeconds: histogram("inlet_table_commit_seconds", topic, "Time that a commit took, conflicts included."),
  tableMaintenanceBytes: counter(
    "inlet_table_maintenance_bytes_total",
    ["topic", "direction"],
    "Bytes of data files that rewrites took out of tables (in) and put in their place (out).",
  ),
  tableMaintenanceFiles: counter(
    "inlet_table_maintenance_files_total",
    ["topic", "direction"],
    "Data files that rewrites took out of tables (in) and put in their place (out).",
  ),
  tableMaintenanceManifests: counter(
    "inlet_table_maintenance_manifests_total",
    ["topic", "direction"],
    "Manifests that were taken out of tables (in) and put in their place (out), beside those of rewritten files.",
  ),
  tableMaintenanceRowsDropped: counter(
    "inlet_table_maintenance_deleted_rows_total",
    topic,
    "Rows that rewrites left out, because deletes had taken them.",
  ),
  tableMaintenanceSeconds: histogram(
    "inlet_table_maintenance_seconds",
    topic,
    "Time that a pass of maintenance over a table took, its pace included.",
  ),
  tableMaintenanceOrphans: counter(
    "inlet_table_maintenance_orphans_total",
    topic,
    "Files that nothing named and that were removed.",
  ),
  tableMaintenanceFailures: counter(
    "inlet_table_maintenance_failures_total",
    topic,
    "Passes of maintenance that failed.",
  ),
  tableState: gauge("inlet_table_state", ["topic", "state"], "1 for the state that a table is in."),

  eventLoopDelaySeconds: gauge(
    "inlet_event_loop_delay_seconds",
    ["quantile"],
    "How late the event loop was, of the last full minute or so.",
  ),
  residentBytes: gauge("process_resident_memory_bytes", [], "Resident memory."),
  heapUsedBytes: gauge("nodejs_heap_size_used_bytes", [], "Bytes of the JavaScript heap in use."),
  externalBytes: gauge(
    "nodejs_external_memory_bytes",
    [],
    "Bytes of buffers and other memory outside the JavaScript heap.",
  ),
  cpuSeconds: counter("process_cpu_seconds_total", [], "Processor time, user and system."),
} as const;

export type Metrics = MetricsOf<typeof metricsTable>;

function counter(
  name: string,
  labels: readonly string[],
  help: string,
): MetricDeclaration & { readonly kind: "counter" } {
  return { name, kind: "counter", help, labels };
}

function gauge(name: string, labels: readonly string[], help: string): MetricDeclaration & { readonly kind: "gauge" } {
  return { name, kind: "gauge", help, labels };
}

function histogram(
  name: string,
  labels: readonly string[],
  help: string,
): MetricDeclaration & { readonly kind: "histogram" } {
  return { name, kind: "histogram", help, labels, buckets: latencyBuckets };
}

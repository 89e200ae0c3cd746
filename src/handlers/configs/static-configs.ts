/** This broker's settings under the names that Kafka gives them: what DescribeConfigs says of the broker itself. What is as
 *  Kafka's default is said to be the default. */
import type { Settings } from "../../../schemas/config.ts";
import { brokerConfigs } from "../../../schemas/kafka-broker-configs.ts";

const minuteMs = 60_000;

export function staticConfigs(
  settings: Settings,
  advertised: { readonly host: string; readonly port: number },
): ReadonlyMap<string, string> {
  const endpoint = `PLAINTEXT://${advertised.host}:${advertised.port}`;
  const known: Readonly<Record<string, string | number | boolean>> = {
    "node.id": settings.nodeId,
    "broker.id": settings.nodeId,
    listeners: `PLAINTEXT://${settings.kafkaHost}:${settings.kafkaPort}`,
    "advertised.listeners": endpoint,
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dir": settings.dataDirectory,
    "log.dirs": settings.dataDirectory,
    "connections.max.reauth.ms": settings.sessionMsMax,
    "socket.request.max.bytes": settings.requestBytesMax,
    "auto.create.topics.enable": settings.topicAutoCreate,
    "delete.topic.enable": settings.topicDelete,
    "num.partitions": settings.topicPartitionsDefault,
    "group.initial.rebalance.delay.ms": settings.groupInitialRebalanceDelayMs,
    "group.max.size": settings.groupMembersMax,
    "group.min.session.timeout.ms": settings.groupSessionMsMin,
    "group.max.session.timeout.ms": settings.groupSessionMsMax,
    "group.share.min.record.lock.duration.ms": settings.shareLockGroupMsMin,
    ...groupDefaults(settings),
    "offset.metadata.max.bytes": settings.groupOffsetMetadataBytesMax,
    "offsets.retention.minutes": Math.floor(settings.groupOffsetsRetentionMs / minuteMs),
    "offsets.retention.check.interval.ms": settings.groupOffsetsCheckIntervalMs,
    "offsets.topic.num.partitions": settings.groupOffsetsPartitions,
    "transaction.max.timeout.ms": settings.transactionTimeoutMsMax,
    "transactional.id.expiration.ms": settings.transactionalIdRetentionMs,
    "transaction.state.log.num.partitions": settings.transactionStatePartitions,
    "producer.id.expiration.ms": settings.logProducerIdleMsMax,
  };
  const texts = Object.entries(known).map(([name, value]) => [name, String(value)] as const);
  return new Map(texts.filter(([name, text]) => brokerConfigs[name]?.default !== text));
}

/** What groups have that nobody configured. */
function groupDefaults(settings: Settings): Readonly<Record<string, number>> {
  return {
    "group.consumer.session.timeout.ms": settings.groupConsumerSessionMs,
    "group.consumer.heartbeat.interval.ms": settings.groupConsumerHeartbeatIntervalMs,
    "group.consumer.assignment.interval.ms": settings.groupConsumerAssignmentIntervalMs,
    "group.share.session.timeout.ms": settings.shareSessionMs,
    "group.share.heartbeat.interval.ms": settings.shareHeartbeatMs,
    "group.share.record.lock.duration.ms": settings.shareLockMs,
    "group.share.delivery.count.limit": settings.shareDeliveriesMax,
    "group.share.partition.max.record.locks": settings.shareLocksMax,
    "group.streams.session.timeout.ms": settings.groupStreamsSessionMs,
    "group.streams.heartbeat.interval.ms": settings.groupStreamsHeartbeatIntervalMs,
    "group.streams.num.standby.replicas": settings.groupStreamsStandbys,
    "group.streams.initial.rebalance.delay.ms": settings.groupStreamsInitialRebalanceDelayMs,
    "group.streams.assignment.interval.ms": settings.groupStreamsAssignmentIntervalMs,
  };
}

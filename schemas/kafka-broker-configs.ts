/**
 * Broker configs that tools read or set: those that give configs of topics and groups their defaults, and those that describe the cluster.
 * Names and defaults are Kafka's; a default that only the running broker knows (addresses, directories) is null here and
 * comes from its static values. All of them together are a small part of Kafka's several hundred.
 */
import { type ConfigCheck, type ConfigRow, topicConfigs } from "./kafka-configs.ts";
import { groupConfigs } from "./kafka-group-configs.ts";

export interface BrokerConfigRow extends ConfigRow {
  /** Whether IncrementalAlterConfigs may set it while the broker runs. */
  readonly dynamic: boolean;
  /** The value is never shown. */
  readonly secret?: boolean;
}

function fixed(type: ConfigRow["type"], fallback: string | null, doc: string): BrokerConfigRow {
  return { type, default: fallback, doc, dynamic: false };
}

function dynamic(type: ConfigRow["type"], fallback: string | null, doc: string, check?: ConfigCheck): BrokerConfigRow {
  return { type, default: fallback, doc, dynamic: true, ...(check === undefined ? {} : { check }) };
}

/** Kafka's own defaults of these are empty and the next synonym in line holds the number. */
const lastNamed: Readonly<Record<string, string>> = {
  "log.flush.scheduler.interval.ms": "9223372036854775807",
  "log.retention.hours": "168",
  "log.roll.hours": "168",
  "log.roll.jitter.hours": "0",
};

function topicDefaults(): Readonly<Record<string, BrokerConfigRow>> {
  const rows: Record<string, BrokerConfigRow> = {};
  for (const [topicName, config] of Object.entries(topicConfigs)) {
    const synonyms = config.synonyms ?? [];
    for (const [rank, synonym] of synonyms.entries()) {
      const isPlain = synonyms.length === 1 || !synonyms.some(({ name }) => name in lastNamed);
      rows[synonym.name] = {
        type: synonym.scale === 1 ? config.type : "int",
        default: lastNamed[synonym.name] ?? (isPlain && rank === 0 ? config.default : null),
        doc: `Gives topics their default of ${topicName}. ${config.doc}`,
        dynamic: synonym.scale === 1,
        ...(config.check === undefined || synonym.scale !== 1 ? {} : { check: config.check }),
      };
    }
  }
  return rows;
}

function groupDefaults(): Readonly<Record<string, BrokerConfigRow>> {
  const rows = Object.entries(groupConfigs).flatMap(([groupName, config]) =>
    (config.synonyms ?? []).map(({ name }) => {
      const doc = `Gives groups their default of ${groupName}. ${config.doc}`;
      return [name, fixed(config.type, config.default, doc)] as const;
    }),
  );
  return Object.fromEntries(rows);
}

const cluster: Readonly<Record<string, BrokerConfigRow>> = {
  "node.id": fixed("int", null, "Id of this broker."),
  "broker.id": fixed("int", null, "Id of this broker, by its older name."),
  "broker.rack": fixed("string", null, "Zone of this broker."),
  "process.roles": fixed("list", "broker,controller", "Every node is both."),
  listeners: fixed("list", null, "Addresses that this broker binds."),
  "advertised.listeners": fixed("list", null, "Addresses that clients are told."),
  "listener.security.protocol.map": fixed(
    "string",
    "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
    "Protocol of each listener name.",
  ),
  "connections.max.reauth.ms": fixed("long", "0", "Clients must authenticate again after this time; 0: never."),
  "inter.broker.listener.name": fixed("string", null, "Listener that brokers use among themselves."),
  "log.dir": fixed("string", null, "Directory of the WAL."),
  "log.dirs": fixed("list", null, "Directory of the WAL."),
  "auto.create.topics.enable": fixed(
    "boolean",
    "true",
    "Whether asking for the metadata of a missing topic may create it.",
  ),
  "delete.topic.enable": fixed("boolean", "true", "Whether topics may be deleted."),
  "default.replication.factor": fixed(
    "int",
    "1",
    "Replication factor of a topic made without one; the object store replicates.",
  ),
  "num.partitions": fixed("int", "1", "Partitions of a topic made without a number."),
  "socket.request.max.bytes": fixed("int", "104857600", "Largest request frame."),
  "max.connections": fixed("int", "2147483647", "Connections that this broker accepts."),
  "super.users": fixed("string", null, "Principals that every ACL lets through."),
  "authorizer.class.name": fixed("string", "", "Whether ACLs are enforced; empty when they are not."),
  "sasl.enabled.mechanisms": fixed("list", null, "SASL mechanisms that clients may use."),
  "security.inter.broker.protocol": fixed("string", "PLAINTEXT", "How brokers talk among themselves."),
  "compression.type": dynamic("string", "producer", "Default of the topics' compression.type."),
};

const groups: Readonly<Record<string, BrokerConfigRow>> = {
  "group.coordinator.rebalance.protocols": fixed("list", "classic", "Rebalance protocols that groups may use."),
  "group.initial.rebalance.delay.ms": fixed(
    "int",
    "3000",
    "How long an empty group waits for more members after the first.",
  ),
  "group.max.session.timeout.ms": fixed("int", "1800000", "Longest session timeout that a member may ask for."),
  "group.max.size": fixed("int", "2147483647", "Members that a group may have."),
  "group.share.min.record.lock.duration.ms": fixed("int", "15000", "Least share.record.lock.duration.ms of a group."),
  "group.min.session.timeout.ms": fixed("int", "6000", "Shortest session timeout that a member may ask for."),
  "offset.metadata.max.bytes": fixed("int", "4096", "Largest note beside a committed offset."),
  "offsets.commit.timeout.ms": fixed("int", "5000", "How long a commit may wait to become durable."),
  "offsets.retention.check.interval.ms": fixed("long", "600000", "How often expired offsets are looked for."),
  "offsets.retention.minutes": fixed("int", "10080", "How long offsets outlive the last use of them."),
  "offsets.topic.compression.codec": fixed("int", "0", "Codec of __consumer_offsets; 0 is none."),
  "offsets.topic.num.partitions": fixed("int", "50", "Partitions of __consumer_offsets."),
  "offsets.topic.replication.factor": fixed("short", "1", "Replication factor of __consumer_offsets."),
  "offsets.topic.segment.bytes": fixed("int", "104857600", "segment.bytes of __consumer_offsets."),
};

const transactions: Readonly<Record<string, BrokerConfigRow>> = {
  "producer.id.expiration.ms": dynamic("int", "86400000", "How long an idle producer is remembered.", {
    kind: "at-least",
    min: 1,
  }),
  "transaction.max.timeout.ms": fixed("int", "900000", "Longest transaction that a producer may ask for."),
  "transaction.state.log.min.isr": fixed("int", "1", "min.insync.replicas of __transaction_state."),
  "transaction.state.log.num.partitions": fixed("int", "50", "Partitions of __transaction_state."),
  "transaction.state.log.replication.factor": fixed("short", "1", "Replication factor of __transaction_state."),
  "transactional.id.expiration.ms": fixed("int", "604800000", "How long an idle transactional id is remembered."),
};

/** Set by Kafka's reassignment tool around its work; a broker without followers has nothing to throttle. */
const throttles: Readonly<Record<string, BrokerConfigRow>> = {
  "follower.replication.throttled.rate": dynamic("long", "9223372036854775807", "Accepted and kept.", {
    kind: "at-least",
    min: 0,
  }),
  "leader.replication.throttled.rate": dynamic("long", "9223372036854775807", "Accepted and kept.", {
    kind: "at-least",
    min: 0,
  }),
  "replica.alter.log.dirs.io.max.bytes.per.second": dynamic("long", "9223372036854775807", "Accepted and kept.", {
    kind: "at-least",
    min: 0,
  }),
};

/** Those of threads and logins that this broker does not have, which tools set all the same. */
const withoutEffect: Readonly<Record<string, BrokerConfigRow>> = {
  "background.threads": dynamic("int", "10", "Accepted and kept.", { kind: "at-least", min: 1 }),
  "log.cleaner.backoff.ms": dynamic("long", "15000", "Accepted and kept.", { kind: "at-least", min: 0 }),
  "log.cleaner.dedupe.buffer.size": dynamic("long", "134217728", "Accepted and kept."),
  "log.cleaner.io.buffer.load.factor": dynamic("double", "0.9", "Accepted and kept."),
  "log.cleaner.io.buffer.size": dynamic("int", "524288", "Accepted and kept.", { kind: "at-least", min: 0 }),
  "log.cleaner.io.max.bytes.per.second": dynamic("double", "1.7976931348623157E308", "Accepted and kept."),
  "log.cleaner.threads": dynamic("int", "1", "Accepted and kept.", { kind: "at-least", min: 0 }),
  "num.io.threads": dynamic("int", "8", "Accepted and kept.", { kind: "at-least", min: 1 }),
  "num.network.threads": dynamic("int", "3", "Accepted and kept.", { kind: "at-least", min: 1 }),
  "num.recovery.threads.per.data.dir": dynamic("int", "2", "Accepted and kept.", { kind: "at-least", min: 1 }),
  "num.replica.fetchers": dynamic("int", "1", "Accepted and kept.", { kind: "at-least", min: 1 }),
  "sasl.kerberos.kinit.cmd": dynamic("string", "/usr/bin/kinit", "Accepted and kept."),
  "sasl.kerberos.min.time.before.relogin": dynamic("long", "60000", "Accepted and kept."),
  "sasl.kerberos.service.name": dynamic("string", null, "Accepted and kept."),
  "sasl.kerberos.ticket.renew.jitter": dynamic("double", "0.05", "Accepted and kept."),
  "sasl.kerberos.ticket.renew.window.factor": dynamic("double", "0.8", "Accepted and kept."),
};

export const brokerConfigs: Readonly<Record<string, BrokerConfigRow>> = {
  ...cluster,
  ...groups,
  ...transactions,
  ...throttles,
  ...withoutEffect,
  ...topicDefaults(),
  ...groupDefaults(),
};

/**
 * A broker without sockets: its parts put together over the clock, disk, stores and catalogs that it is given. The process
 * (broker.ts) and the simulation run the same.
 */
import type { Settings } from "../schemas/config.ts";
import type { Authorizer } from "./access/authorizer.ts";
import type { ClientQuotas } from "./access/client-quotas.ts";
import type { Disk } from "./base/disk.ts";
import type { LogComponent, LogLevels } from "./base/log-levels.ts";
import type { Runtime } from "./base/runtime.ts";
import { Slabs } from "./base/slabs.ts";
import type { Counter, Gauge, Logger } from "./base/telemetry.ts";
import { GroupCoordinator } from "./coordinator/group-coordinator.ts";
import { guardedHandlers, openAuthorizer, openClientQuotas } from "./guarded-handlers.ts";
import { aclHandlers } from "./handlers/access/acls.ts";
import { delegationTokenHandlers } from "./handlers/access/delegation-tokens.ts";
import { saslHandlers } from "./handlers/access/sasl.ts";
import { scramCredentialsHandlers } from "./handlers/access/scram-credentials.ts";
import { adminHandlers, groupCoordinatorOptions } from "./handlers/admin-handlers.ts";
import { ClientTelemetry } from "./handlers/client-metrics/client-telemetry.ts";
import { clusterAdminHandlers } from "./handlers/cluster/cluster-admin-handlers.ts";
import type { ClusterView } from "./handlers/cluster/cluster-view.ts";
import { configLayers } from "./handlers/configs/config-layers.ts";
import { staticConfigs } from "./handlers/configs/static-configs.ts";
import { deleteRecordsHandler } from "./handlers/data/delete-records.ts";
import { fetchHandler } from "./handlers/data/fetch.ts";
import { FetchSessions } from "./handlers/data/fetch-session.ts";
import { listOffsetsHandler } from "./handlers/data/list-offsets.ts";
import { offsetForLeaderEpochHandler } from "./handlers/data/offset-for-leader-epoch.ts";
import { produceHandler, throttleMs } from "./handlers/data/produce.ts";
import { mayCreateTopic } from "./handlers/guard/guard-streams-groups.ts";
import { clientQuotasHandlers } from "./handlers/quotas/client-quotas.ts";
import { openShare, type ShareParts } from "./handlers/share/share-handlers.ts";
import { followTopics } from "./handlers/topics/internal-topics.ts";
import { openTransactions, type Transactions } from "./handlers/transactions/transaction-handlers.ts";
import {
  clientTelemetryLimits,
  fetchSessionLimits,
  logLimits,
  metadataLimits,
  mirrorLimits,
  streamLimits,
} from "./limits.ts";
import { FetchWait } from "./log/fetch-wait.ts";
import { type LocalLog, openLog } from "./log/local-log.ts";
import { effectiveTopicConfig } from "./log/topic-config.ts";
import { makeWal } from "./make-wal.ts";
import type { CasLog } from "./metadata/cas-log.ts";
import type { MetadataClient } from "./metadata/client.ts";
import { openMetadata } from "./metadata/metadata-client.ts";
import { Mirror } from "./metadata/mirror.ts";
import type { ObjectStore } from "./object-store/object-store.ts";
import type { ApiName } from "./protocol/api-table.ts";
import type { Handlers, RequestContext } from "./protocol/dispatch.ts";
import type { BlockMemory } from "./stream/block-memory.ts";
import type { StreamStorage } from "./stream/storage.ts";
import { openStreamStorage, type StreamMetrics, type StreamStorageOptions } from "./stream/stream-storage.ts";
import type { Wal } from "./stream/wal.ts";
import { type LakeTable, retentionHold } from "./table/retention-hold.ts";

export interface CoreOptions {
  readonly settings: Settings;
  readonly runtime: Runtime;
  readonly disk: Disk;
  /** Closed by the caller, after the core. */
  readonly metadataLog: CasLog;
  /** Closed by the caller, after the core. */
  readonly store: ObjectStore;
  readonly logger: Logger;
  /** What the logger heeds, so that clients can change it. */
  readonly logLevels: LogLevels;
  readonly metrics: CoreMetrics;
  /** Whether the metadata log is copied into the store; it need not be when that is where it is. */
  readonly mirrorsMetadata: boolean;
  /** Where clients reach this broker. */
  readonly advertised: { readonly host: string; readonly port: number };
  /** The same by listener, where there are several. */
  readonly endpoints?: ClusterView["endpoints"];
  /** Aborted when the node begins to stop: what it waits for then must not take for ever. Disposing of the core says so too. */
  readonly stopping?: AbortSignal;
  /** The node cannot go on: the process must stop without another ack. May be called more than once. */
  readonly fatal: (cause: unknown) => void;
  /** Lets a simulation plant a fault below everything else. */
  readonly wrapWal?: (wal: Wal) => Wal;
  /** For blocks that are read back; a simulation overwrites what is given up. */
  readonly blockMemory?: BlockMemory;
  /** The same for what merges copy. */
  readonly wrapMerged?: StreamStorageOptions["wrapMerged"];
  /** Retention asks what the topic's table does not hold yet; undefined for topics that become none. */
  readonly lakeTable?: (topic: string) => LakeTable | undefined;
}

export interface CoreMetrics extends StreamMetrics {
  readonly metadataMirrorLag: Gauge;
  readonly accessDenied: Counter;
  readonly throttledRequests: Counter;
  readonly throttledSeconds: Counter;
}

export interface Core extends AsyncDisposable {
  readonly metadata: MetadataClient;
  readonly storage: StreamStorage;
  /** Where batches live until they are uploaded. */
  readonly slabs: Slabs;
  readonly log: LocalLog;
  readonly coordinator: GroupCoordinator;
  readonly clientTelemetry: ClientTelemetry;
  readonly handlers: Handlers;
  readonly quotas: ClientQuotas;
}

/** Resolves when the WAL is recovered and partitions are opening. Disposing makes everything appended durable; what is in no object then stays in the WAL. */
export async function openCore(options: CoreOptions): Promise<Core> {
  const { settings, runtime, fatal, advertised } = options;
  const loggerOf = (component: LogComponent): Logger => options.logger.child({ component });
  const ending = new AbortController();
  const signal = AbortSignal.any([ending.signal, options.stopping ?? ending.signal]);
  await using opened = new AsyncDisposableStack();
  const mirror = opened.use(
    new Mirror({
      log: options.metadataLog,
      store: options.store,
      clock: runtime.clock,
      logger: loggerOf("metadata"),
      limits: mirrorLimits(settings),
      lag: options.metrics.metadataMirrorLag,
    }),
  );
  const metadata = opened.use(
    await openMetadata({
      log: mirror.log,
      nodeId: settings.nodeId as MetadataClient["nodeId"],
      node: { ...advertised, rack: null },
      runtime,
      logger: loggerOf("metadata"),
      limits: metadataLimits(settings),
      failed: fatal,
      stopping: { signal, outageMsMax: settings.metadataCloseMsMax },
    }),
  );
  const wal = await makeWal({ ...options, logger: loggerOf("stream"), metadata });
  if (options.mirrorsMetadata) mirror.follow(metadata);
  const slabs = new Slabs();
  const storage = opened.use(
    await openStreamStorage({
      wal: options.wrapWal?.(wal) ?? wal,
      ...(options.blockMemory === undefined ? {} : { blockMemory: options.blockMemory }),
      store: options.store,
      metadata,
      runtime,
      limits: streamLimits(settings, options.store),
      logger: loggerOf("stream"),
      metrics: options.metrics,
      fatal,
      released: (bytes) => slabs.release(bytes),
      ...(options.wrapMerged === undefined ? {} : { wrapMerged: options.wrapMerged }),
    }),
  );
  const configView = { metadata, brokerStatic: staticConfigs(settings, advertised) };
  const log = opened.use(
    openLog({
      metadata,
      storage,
      runtime,
      slabs,
      logger: loggerOf("log"),
      limits: logLimits(settings),
      topicConfig: (topic) => effectiveTopicConfig(configLayers(configView, topic.configs)),
      transactions: "accepted",
      holdRetention: (topicId, partition) =>
        retentionHold(metadata.image, options.lakeTable ?? (() => undefined), { topicId, partition }),
      failed: fatal,
    }),
  );
  const failed = (cause: unknown): void =>
    loggerOf("coordinator").error("a coordinator's background work failed", { cause });
  const share = opened.use(openShare({ settings, metadata, log, runtime, advertised, failed }));
  const groupOptions = groupCoordinatorOptions({ settings, metadata, log, runtime, failed });
  const coordinator = opened.use(new GroupCoordinator({ ...groupOptions, shareServices: share.services }));
  opened.use(followTopics(metadata, coordinator, failed));
  const transactions = opened.use(openTransactions({ settings, metadata, log, runtime, coordinator, failed }));
  const clientTelemetry = opened.use(
    new ClientTelemetry({ metadata, runtime, limits: clientTelemetryLimits(settings) }),
  );
  const authorizer = openAuthorizer({ ...options, metadata, denials: options.metrics.accessDenied });
  if (authorizer !== undefined) opened.use(authorizer);
  const quotas = opened.use(openClientQuotas({ ...options, metadata }));
  const served = { metadata, storage, log, coordinator, transactions, share, clientTelemetry, authorizer };
  const ofCore = makeHandlers({ ...options, ...served });
  const handlers = guardedHandlers(ofCore, { settings, runtime, metadata, authorizer, quotas, logger: options.logger });
  const parts = opened.move();
  return {
    metadata,
    storage,
    slabs,
    log,
    coordinator,
    clientTelemetry,
    handlers,
    quotas,
    [Symbol.asyncDispose]: () => {
      ending.abort();
      return parts.disposeAsync();
    },
  };
}

function makeHandlers(
  options: CoreOptions &
    Pick<Core, "metadata" | "storage" | "log" | "coordinator" | "clientTelemetry"> & {
      readonly transactions: Transactions;
      readonly share: ShareParts;
      readonly authorizer: Authorizer | undefined;
    },
): Handlers {
  const { settings, runtime, metadata, storage, log, coordinator, transactions } = options;
  const { advertised, endpoints, authorizer, logLevels } = options;
  const served = (): readonly ApiName[] => Object.keys(handlers) as ApiName[];
  const data = { log, metadata };
  const mayCreate =
    authorizer === undefined
      ? undefined
      : (topic: string, context: RequestContext): boolean =>
          mayCreateTopic(authorizer.access("streamsGroupHeartbeat", context), topic);
  const maySee =
    authorizer === undefined
      ? undefined
      : (context: RequestContext) => {
          const access = authorizer.access("consumerGroupHeartbeat", context);
          return (topic: string): boolean => access.could("describe", "topic", topic);
        };
  const common = { settings, metadata, runtime, advertised };
  const handlers: Handlers = {
    ...adminHandlers({ ...common, coordinator, endpoints, served, logLevels, mayCreate, maySee }),
    ...clusterAdminHandlers({ ...common, log }),
    ...transactions.handlers,
    ...options.share.handlers(coordinator),
    ...options.clientTelemetry.handlers(),
    ...saslHandlers(),
    ...scramCredentialsHandlers({ metadata }),
    ...delegationTokenHandlers({
      metadata,
      runtime,
      limits: settings,
      access: authorizer === undefined ? undefined : (api, context) => authorizer.access(api, context),
    }),
    produce: produceHandler({
      ...data,
      transactions: transactions.gate,
      clock: runtime.clock,
      throttleMs: () => throttleMs(storage.fullness, settings.produceThrottleMsMax),
    }),
    fetch: fetchHandler({
      ...data,
      sessions: new FetchSessions({ ...runtime, limits: fetchSessionLimits(settings) }),
      wait: new FetchWait({ clock: runtime.clock, limits: settings }),
      limits: settings,
      ...(authorizer === undefined
        ? {}
        : { mayRead: (topic, context) => authorizer.access("fetch", context).may("read", "topic", topic) }),
    }),
    listOffsets: listOffsetsHandler({ ...data, clock: runtime.clock }),
    offsetForLeaderEpoch: offsetForLeaderEpochHandler(data),
    deleteRecords: deleteRecordsHandler(data),
    ...clientQuotasHandlers({ metadata, limits: settings }),
    ...aclHandlers({ metadata, audit: authorizer?.audit ?? "off", limits: settings, clock: runtime.clock }),
  };
  return handlers;
}

/** From the flat table of settings to the limits that parts ask for, where their names are not the same. */
import type { Settings } from "../schemas/config.ts";
import type { ClientTelemetryLimits } from "./handlers/client-metrics/client-telemetry.ts";
import type { FetchSessionLimits } from "./handlers/data/fetch-session.ts";
import type { LogLimits } from "./log/local-log.ts";
import type { StateLogLimits } from "./log/state-log.ts";
import type { MetadataLimits } from "./metadata/metadata-client.ts";
import type { MirrorOptions } from "./metadata/mirror.ts";
import type { ObjectStore } from "./object-store/object-store.ts";
import type { ObjectStoreDeps } from "./object-store/open.ts";
import type { StorePrices } from "./object-store/prices.ts";
import type { KafkaListenerLimits } from "./server/kafka-listener.ts";
import type { StreamLimits } from "./stream/limits.ts";
import type { CompactorLimits, MaintenanceLimits } from "./table/compactor.ts";
import type { RoundLimits } from "./table/translate/translate-round.ts";

export function objectStoreLimits(settings: Settings): ObjectStoreDeps["limits"] {
  return {
    requestMsMax: settings.objectStoreRequestMsMax,
    connectMsMax: settings.objectStoreConnectMsMax,
    socketsMax: settings.objectStoreSocketsMax,
    retry: {
      attemptsMax: settings.objectStoreRetryAttemptsMax,
      delayMsMin: settings.objectStoreRetryDelayMsMin,
      delayMsMax: settings.objectStoreRetryDelayMsMax,
    },
  };
}

/** A slow disk is not helped by writing the same bytes to it a second time. */
export function streamLimits(settings: Settings, store: Pick<ObjectStore, "url">): StreamLimits {
  return store.url.startsWith("file:") ? { ...settings, uploadHedgesInFlightMax: 0 } : settings;
}

export function storePrices(settings: Settings): StorePrices {
  return {
    write: { perRequestNanodollars: settings.objectStorePriceWriteNanodollars },
    read: { perRequestNanodollars: settings.objectStorePriceReadNanodollars },
    delete: { perRequestNanodollars: settings.objectStorePriceDeleteNanodollars },
    in: { perGibNanodollars: settings.objectStorePriceInNanodollars },
    out: { perGibNanodollars: settings.objectStorePriceOutNanodollars },
  };
}

export function logLimits(settings: Settings): LogLimits {
  return {
    laneBatchesMax: settings.logLaneBatchesMax,
    laneWaitMsMax: settings.logLaneWaitMsMax,
    inflatedBytesMax: settings.logInflatedBytesMax,
    producersMax: settings.logProducersMax,
    producerIdleMsMax: settings.logProducerIdleMsMax,
    maintenanceIntervalMs: settings.logMaintenanceIntervalMs,
    reopenIntervalMs: settings.logReopenIntervalMs,
    streamsOpenedMax: settings.logStreamsOpenedMax,
    cleanerIntervalMs: settings.cleanerIntervalMs,
    cleanerMapBytesMax: settings.cleanerMapBytesMax,
    cleanerBufferBytesMax: settings.cleanerBufferBytesMax,
    cleanerBytesPerSecondMax: settings.cleanerBytesPerSecondMax,
  };
}

export function fetchSessionLimits(settings: Settings): FetchSessionLimits {
  return {
    sessionsMax: settings.fetchSessionsMax,
    sessionPartitionsMax: settings.fetchSessionPartitionsMax,
    sessionIdleMsMin: settings.fetchSessionIdleMsMin,
  };
}

export function metadataLimits(settings: Settings): MetadataLimits {
  return {
    pollMs: settings.metadataPollMs,
    readEntriesMax: settings.metadataReadEntriesMax,
    batchProposalsMax: settings.metadataBatchProposalsMax,
    batchBytesMax: settings.metadataBatchBytesMax,
    proposalsWaitingMax: settings.metadataProposalsWaitingMax,
    checkpointEntries: settings.metadataCheckpointEntries,
    retry: { delayMsMin: settings.metadataRetryDelayMsMin, delayMsMax: settings.metadataRetryDelayMsMax },
  };
}

export function mirrorLimits(settings: Settings): MirrorOptions["limits"] {
  return { intervalMs: settings.metadataMirrorIntervalMs, readEntriesMax: settings.metadataReadEntriesMax };
}

export function stateLogLimitsOf(settings: Settings): StateLogLimits {
  return {
    batchesInFlightMax: settings.stateLogBatchesInFlightMax,
    batchBytesMax: settings.stateLogBatchBytesMax,
    replayBytesMax: settings.stateLogReplayBytesMax,
    inflatedBytesMax: settings.logInflatedBytesMax,
  };
}

export function kafkaLimits(settings: Settings): KafkaListenerLimits {
  return {
    requestBytesMax: settings.requestBytesMax,
    strangerRequestBytesMax: settings.strangerRequestBytesMax,
    authenticationMsMax: settings.authenticationMsMax,
    smallRequestBytesMax: settings.smallRequestBytesMax,
    requestElementsMax: settings.requestElementsMax,
    requestsInFlightMax: settings.requestsInFlightMax,
    connectionBytesMax: settings.connectionBytesMax,
    answerMemoryBytesMax: settings.answerMemoryBytesMax,
    requestMemoryBytesMax: settings.requestMemoryBytesMax,
    smallRequestMemoryBytesMax: settings.smallRequestMemoryBytesMax,
    connectionsMax: settings.kafkaConnectionsMax,
    connectionsPerHostMax: settings.kafkaConnectionsPerHostMax,
    connectionsPerSecondMax: settings.kafkaConnectionsPerSecondMax,
    idleMsMax: settings.kafkaIdleMsMax,
    arrivalGraceMs: settings.requestArrivalGraceMs,
    arrivalBytesPerSecondMin: settings.requestArrivalBytesPerSecondMin,
    closeMsMax: settings.kafkaCloseMsMax,
  };
}

/** Of the translator's rounds. */
export function roundLimits(settings: Settings): RoundLimits {
  return {
    inflateBytesMax: settings.tableInflateBytesMax,
    ...(settings.registryExternalKind === "glue" ? { framing: "glue" as const } : {}),
    openBytesMax: settings.tableTranslateOpenBytesMax,
    rowGroupBytesMax: settings.tableRowGroupBytesMax,
    parquet: {
      pageBytesMax: settings.tablePageBytesMax,
      pageRowsMax: settings.tablePageRowsMax,
      dictionaryBytesMax: settings.tableDictionaryBytesMax,
      zstdLevel: settings.tableZstdLevel,
      metricsColumnsMax: settings.tableMetricsColumnsMax,
    },
  };
}

export function compactorLimits(settings: Settings): CompactorLimits {
  return {
    beatMs: settings.tableBeatMs,
    roundBytesMax: settings.tableRoundBytesMax,
    readBytesMax: settings.tableReadBytesMax,
    targetFileBytes: settings.tableFileBytesTarget,
    commitRoundsMax: settings.tableCommitRoundsMax,
    pendingRoundsMax: settings.tablePendingRoundsMax,
    backfillKeysMax: settings.tableBackfillKeysMax,
    outageRetryMs: settings.tableOutageRetryMs,
    commitRetry: {
      attemptsMax: settings.tableCommitAttemptsMax,
      delayMsMin: settings.tableCommitDelayMsMin,
      delayMsMax: settings.tableCommitDelayMsMax,
    },
    markBytesMax: settings.tableMarkBytesMax,
    trustMs: settings.tableTrustMs,
    merge: {
      isEnabled: true,
      countMin: settings.tableManifestMergeCountMin,
      bytesTarget: settings.tableManifestBytesTarget,
    },
    expiredGraceMs: settings.tableExpiredGraceMs,
    expiredFilesMax: settings.tableExpiredFilesMax,
    expiredListsMax: settings.tableExpiredListsMax,
  };
}

export function maintenanceLimits(settings: Settings): MaintenanceLimits {
  const { commitRetry, targetFileBytes } = compactorLimits(settings);
  return {
    commitRetry,
    targetBytes: targetFileBytes,
    intervalMs: settings.tableMaintenanceIntervalMs,
    tablesMax: settings.tableMaintenanceTablesMax,
    appendWaitMsMax: settings.tableMaintenanceAppendWaitMsMax,
    bytesPerSecondMax: settings.tableMaintenanceBytesPerSecondMax,
    filesMin: settings.tableMaintenanceFilesMin,
    smallRatio: settings.tableMaintenanceSmallPercent / 100,
    deleteFilesMin: settings.tableMaintenanceDeleteFilesMin,
    deletedRatioMin: settings.tableMaintenanceDeletedPercentMin / 100,
    quietMs: settings.tableMaintenanceQuietMs,
    inputBytesMax: settings.tableMaintenanceInputBytesMax,
    deleteRowsMax: settings.tableMaintenanceDeleteRowsMax,
    liveFilesMax: settings.tableMaintenanceLiveFilesMax,
    commitBytes: settings.tableMaintenanceCommitBytes,
    looseManifestsMin: settings.tableMaintenanceLooseManifestsMin,
    orphansIntervalMs: settings.tableMaintenanceOrphansIntervalMs,
    namedFilesMax: settings.tableMaintenanceNamedFilesMax,
    orphansPageMax: settings.tableMaintenanceOrphansPageMax,
  };
}

export function clientTelemetryLimits(settings: Settings): ClientTelemetryLimits {
  return {
    clientsMax: settings.metricsClientsMax,
    pushBytesMax: settings.metricsPushBytesMax,
    inflatedBytesMax: settings.metricsPushInflatedBytesMax,
    pointsMax: settings.metricsPushPointsMax,
  };
}

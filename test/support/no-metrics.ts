/** Metrics that nobody looks at. */
import type { Counter, Gauge, Histogram } from "../../src/base/telemetry.ts";
import type { CoreMetrics } from "../../src/core.ts";
import type { MaintenanceMetrics } from "../../src/table/maintenance/maintenance.ts";
import type { CompactorMetrics } from "../../src/table/table-meter.ts";

const nothing: Counter & Gauge & Histogram = { add: () => {}, set: () => {}, observe: () => {} };

export const noMetrics: CompactorMetrics & MaintenanceMetrics & CoreMetrics = {
  translationLag: nothing,
  commitLag: nothing,
  tableRows: nothing,
  tableFiles: nothing,
  tableFileBytes: nothing,
  tableInvalid: nothing,
  tableCrossingKeys: nothing,
  tableCommits: nothing,
  tableCommitSeconds: nothing,
  tableState: nothing,
  tableMaintenanceBytes: nothing,
  tableMaintenanceFiles: nothing,
  tableMaintenanceRowsDropped: nothing,
  tableMaintenanceSeconds: nothing,
  tableMaintenanceFailures: nothing,
  tableMaintenanceManifests: nothing,
  tableMaintenanceOrphans: nothing,
  generationsQueued: nothing,
  logCacheBytes: nothing,
  uncommittedBytes: nothing,
  walBytes: nothing,
  walIsAlone: nothing,
  metadataMirrorLag: nothing,
  unreadableReads: nothing,
  hedgedUploads: nothing,
  accessDenied: nothing,
  throttledRequests: nothing,
  throttledSeconds: nothing,
  mergedBytes: nothing,
  garbageObjects: nothing,
};

/** How a topic's table stands: what the metadata log knows of it, and what its catalog says. */

import { OperationFailed } from "../base/errors.ts";
import type { TableInfo } from "../metadata/image.ts";
import type { BesideReport } from "./beside.ts";
import type { Catalog, TableName } from "./catalog.ts";
import type { PartitionView } from "./rounds.ts";
import type { TableSettings } from "./settings.ts";
import { deadLetterName, tableName } from "./table-state.ts";
import type { BackfillReport } from "./tools/backfill-plan.ts";

export interface TableReport {
  readonly topic: string;
  readonly catalog: string;
  /** With its namespace, joined by dots. */
  readonly table: string;
  readonly generation: number;
  readonly state: TableInfo["state"] | "pending";
  /** Why it does not run; empty when it does. */
  readonly reason: string;
  /** What kept the last turn from its end, while the table runs and tries again. */
  readonly trouble: string | null;
  readonly pendingRounds: number;
  /** The newest; null when there was none. */
  readonly backfill: (BackfillReport & { readonly trouble: string | null }) | null;
  /** Tables that were built beside it, or still are. */
  readonly beside: readonly BesideReport[];
  /** Partitions that this node owns. */
  readonly partitions: readonly PartitionReport[];
  /** null: the catalog has no such table, or cannot be reached. */
  readonly rows: number | null;
  readonly files: number | null;
  /** Records in the dead-letter table; null when there is none. */
  readonly rejects: number | null;
  /** Of `main`; null when it is empty. A decimal number: it may exceed 2^53. */
  readonly snapshotId: string | null;
  /** What kept the catalog from answering. */
  readonly catalogError: string | null;
}

export interface PartitionReport {
  readonly partition: number;
  /** Next offset to come that is stable. */
  readonly end: number;
  readonly translatedTo: number;
  readonly committedTo: number;
  /** Records not translated yet; translated, not committed. */
  readonly translationLag: number;
  readonly commitLag: number;
}

export async function reportTable(
  known: {
    readonly settings: TableSettings;
    readonly table: TableInfo | undefined;
    readonly views: readonly PartitionView[];
    readonly trouble: string | null;
  },
  catalog: Catalog,
): Promise<TableReport> {
  const { settings, table, views, trouble } = known;
  const generation = table?.generation ?? 1;
  const name = tableName(settings, generation);
  const letters = settings.errors.policy === "dlq" ? deadLetterName(settings, generation) : null;
  return {
    topic: settings.topic,
    catalog: settings.catalog,
    table: [...name.namespace, name.name].join("."),
    generation,
    state: table?.state ?? "pending",
    reason: table?.reason ?? "",
    trouble: table === undefined || table.state === "running" ? trouble : null,
    pendingRounds: table?.pending.length ?? 0,
    backfill: null,
    beside: [],
    partitions: views.map((view) => partitionReport(view, table)),
    ...(await catalogFigures(catalog, name, letters)),
  };
}

function partitionReport(
  { partition, logStart, lastStable }: PartitionView,
  table: TableInfo | undefined,
): PartitionReport {
  const translatedTo = table?.translatedTo.get(partition) ?? logStart;
  const committedTo = table?.committedTo.get(partition) ?? logStart;
  const translationLag = Math.max(0, lastStable - translatedTo);
  const commitLag = Math.max(0, translatedTo - committedTo);
  return { partition, end: lastStable, translatedTo, committedTo, translationLag, commitLag };
}

type CatalogFigures = Pick<TableReport, "rows" | "files" | "rejects" | "snapshotId" | "catalogError">;

async function catalogFigures(catalog: Catalog, name: TableName, letters: TableName | null): Promise<CatalogFigures> {
  try {
    const main = await figures(catalog, name);
    const rejected = letters === null ? null : await figures(catalog, letters);
    return { ...main, rejects: rejected?.rows ?? null, catalogError: null };
  } catch (cause) {
    if (!(cause instanceof OperationFailed)) throw cause;
    return { rows: null, files: null, rejects: null, snapshotId: null, catalogError: cause.message };
  }
}

async function figures(catalog: Catalog, name: TableName) {
  const metadata = (await catalog.load(name))?.metadata;
  const current = metadata?.["current-snapshot-id"] ?? -1n;
  if (metadata === undefined) return { rows: null, files: null, snapshotId: null };
  if (current === -1n) return { rows: 0, files: 0, snapshotId: null };
  const summary = metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] === current)?.summary;
  return {
    rows: count(summary?.["total-records"]),
    files: count(summary?.["total-data-files"]),
    snapshotId: String(current),
  };
}

/** Summaries of others may leave totals out. */
function count(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}

/**
 * What the table side asks of a catalog. Adapters live in catalogs/; each exports one `open(settings, deps): Catalog` and
 * passes test/table/catalog-contract.ts. A commit asserts its exact parent and never hides that its outcome is unknown.
 */
import type { TableMetadata } from "./iceberg/metadata.ts";
import type { Requirement, Update } from "./iceberg/updates.ts";

export interface Catalog extends AsyncDisposable {
  readonly name: string;
  /** The service rewrites its tables and removes their garbage itself: two that do would only race. */
  readonly isSelfMaintained?: boolean;
  load(table: TableName): Promise<LoadedTable | undefined>;
  /** Creates the namespace when it is missing. "exists" when somebody was faster. */
  create(
    table: TableName,
    updates: readonly Update[],
  ): Promise<{ readonly kind: "created"; readonly table: LoadedTable } | { readonly kind: "exists" } | UnknownOutcome>;
  commit(table: TableName, requirements: readonly Requirement[], updates: readonly Update[]): Promise<CommitOutcome>;
  /** All of them happen, or none. Catalogs that cannot do that do not have it, or say so and do nothing. */
  commitAll?(changes: readonly TableChange[]): Promise<TransactionOutcome>;
  /** Catalogs that lend keys to their files ask for them here, so that files can be written before the table is loaded. */
  reachFiles?(table: TableName): Promise<void>;
}

export interface TableChange {
  readonly table: TableName;
  readonly requirements: readonly Requirement[];
  readonly updates: readonly Update[];
}

export type TransactionOutcome =
  | { readonly kind: "committed" }
  | Exclude<CommitOutcome, { readonly kind: "committed" }>
  | { readonly kind: "unsupported" };

export interface TableName {
  readonly namespace: readonly string[];
  readonly name: string;
}

export interface LoadedTable {
  readonly metadata: TableMetadata;
  readonly metadataLocation: string;
  /** What the catalog says about reaching the files: s3.endpoint and the like. May hold secrets: never logged. */
  readonly config: ReadonlyMap<string, string>;
}

export type CommitOutcome =
  | { readonly kind: "committed"; readonly table: LoadedTable }
  /** A requirement failed: nothing happened. */
  | { readonly kind: "conflict"; readonly detail: string }
  | UnknownOutcome;

/** It may or may not have happened (timeouts, 5xx). Reload and settle; delete nothing. */
export interface UnknownOutcome {
  readonly kind: "unknown";
  readonly cause: unknown;
}

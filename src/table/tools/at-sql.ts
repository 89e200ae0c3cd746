/** SQL that reads a table as it was when it held exactly the given records of its topic. Pure. */
import type { Wanted } from "./at-offset.ts";

export interface AtSql {
  readonly spark: string;
  readonly trino: string;
  readonly duckdb: string;
}

export function sqlAt(what: {
  readonly namespace: readonly string[];
  readonly name: string;
  readonly snapshotId: bigint;
  /** What the snapshot holds beyond it is left out by a condition. */
  readonly wanted: Wanted;
  readonly offsets: Wanted;
  readonly columns: { readonly partition: string; readonly offset: string };
}): AtSql {
  const { snapshotId } = what;
  const [schema, table] = [what.namespace.join("."), what.name];
  const condition = (quote: (name: string) => string): string => {
    const beyond = [...what.wanted].filter(([partition, next]) => (what.offsets.get(partition) ?? 0) > next);
    const [p, o] = [quote(what.columns.partition), quote(what.columns.offset)];
    const parts = beyond.map(([partition, next]) => `NOT (${p} = ${partition} AND ${o} >= ${next})`);
    return parts.length === 0 ? "" : ` WHERE ${parts.join(" AND ")}`;
  };
  const inTicks = (name: string): string => `\`${name.replaceAll("`", "``")}\``;
  const inQuotes = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  const sparkName = ["lake", ...what.namespace, table].map((part, at) => (at === 0 ? part : inTicks(part))).join(".");
  const name = `lake.${inQuotes(schema)}.${inQuotes(table)}`;
  return {
    spark: `SELECT * FROM ${sparkName} VERSION AS OF ${snapshotId}${condition(inTicks)}`,
    trino: `SELECT * FROM ${name} FOR VERSION AS OF ${snapshotId}${condition(inQuotes)}`,
    duckdb: `SELECT * FROM ${name} AT (VERSION => ${snapshotId})${condition(inQuotes)}`,
  };
}

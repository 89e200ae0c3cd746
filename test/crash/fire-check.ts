/** What must be in the tables of test/crash/table-fire.ts, from what was acked alone, and whether it is. Pure. */

export interface StateRow {
  readonly region: string;
  readonly v: number;
}

export interface SentTransaction {
  readonly ids: readonly number[];
  /** "unknown": its end was not answered for good; all of it is there or nothing. */
  readonly outcome: "committed" | "aborted" | "unknown";
}

export interface FireModel {
  /** Ids of the records that became rows, and those of the dead letters. */
  readonly plain: ReadonlySet<number>;
  readonly letters: ReadonlySet<number>;
  readonly accounts: readonly SentTransaction[];
  /** Rows by their key. */
  readonly state: ReadonlyMap<string, StateRow>;
  readonly changes: ReadonlyMap<string, StateRow>;
}

export function checkIds(table: string, acked: ReadonlySet<number>, found: readonly number[]): readonly string[] {
  const { violations, seen } = doubles(table, found);
  for (const id of acked) if (!seen.has(id)) violations.push(`${table} has lost ${id}`);
  for (const id of seen) if (!acked.has(id)) violations.push(`${table} has ${id}, which nobody wrote`);
  return violations;
}

export function checkTransactions(
  table: string,
  transactions: readonly SentTransaction[],
  found: readonly number[],
): readonly string[] {
  const { violations, seen } = doubles(table, found);
  const known = new Set(transactions.flatMap(({ ids }) => ids));
  for (const id of seen) if (!known.has(id)) violations.push(`${table} has ${id}, which nobody wrote`);
  for (const { ids, outcome } of transactions) {
    const there = ids.filter((id) => seen.has(id));
    const isRight =
      (there.length === ids.length && outcome !== "aborted") || (there.length === 0 && outcome !== "committed");
    if (!isRight)
      violations.push(
        `${table} has ${there.length} of ${ids.length} records of a transaction that was ${outcome}: ${ids.join()}`,
      );
  }
  return violations;
}

export function checkState(
  table: string,
  model: ReadonlyMap<string, StateRow>,
  found: readonly (StateRow & { readonly key: string })[],
): readonly string[] {
  const violations: string[] = [];
  const seen = new Set<string>();
  for (const { key, region, v } of found) {
    const expected = model.get(key);
    if (seen.has(key)) violations.push(`${table} has ${key} twice`);
    else if (expected === undefined) violations.push(`${table} has ${key}, which was deleted or never written`);
    else if (expected.v !== v || expected.region !== region)
      violations.push(`${table} has ${region} ${v} for ${key}, written last was ${expected.region} ${expected.v}`);
    seen.add(key);
  }
  for (const key of model.keys()) if (!seen.has(key)) violations.push(`${table} has lost ${key}`);
  return violations;
}

function doubles(table: string, found: readonly number[]): { violations: string[]; seen: ReadonlySet<number> } {
  const violations: string[] = [];
  const seen = new Set<number>();
  for (const id of found) {
    if (seen.has(id)) violations.push(`${table} has ${id} twice`);
    seen.add(id);
  }
  return { violations, seen };
}

/** What goes wrong in each cycle of test/crash/table-fire.ts, from a seed and nothing else: the same seed, the same trouble. */
import type { Random } from "../../src/base/runtime.ts";
import type { Fault } from "../table/catalog-contract.ts";

export const fireTables = ["plain", "accounts", "state", "changes"] as const;
export type FireTable = (typeof fireTables)[number];

/** What another writer does to a table; each leaves the rows that were translated as they are. */
export const foreignActions = [
  /** Rows of its own, marked as such. */
  "append",
  /** Takes its own rows away again: files that hold some are written anew without them. */
  "delete",
  /** Writes data files anew: several into one where no deletes could tell them apart. */
  "rewrite",
  /** All manifests of data into one for each spec. */
  "join-manifests",
  /** Every snapshot but the current one, so that history is cut. */
  "expire",
  /** An append of nothing that is staged first, then made `main`: a rollback to a newer state. */
  "publish",
  "tag",
] as const;
export type ForeignAction = (typeof foreignActions)[number];

export interface ForeignStep {
  readonly table: FireTable;
  readonly action: ForeignAction;
}

export interface CyclePlan {
  readonly loadMs: number;
  /**
   * kill -9 so long after the load began, or after its end, when everything is about to be committed, or after a commit has come to the
   * catalog, which does it and is not heard; null spares the broker.
   */
  readonly kill: { readonly during: "load" | "commit" | "flush"; readonly afterMs: number } | null;
  /** The catalog's process dies so long after the load began, and is back so much later. */
  readonly catalogKill: { readonly afterMs: number; readonly awayMs: number } | null;
  /** Of the catalog's answers to the commits to come, one after another. */
  readonly faults: readonly Fault[];
  readonly foreign: readonly ForeignStep[];
}

/** The catalog does it or not, says nothing, too late, twice, or something else. */
const faults: readonly Fault[] = [
  "request-lost",
  "answer-lost",
  "answer-late",
  "request-doubled",
  ...[500, 502, 503, 504].flatMap((status) => [true, false].map((happens) => ({ status, happens }))),
  { status: 409, happens: false },
];

export function planCycle(random: Random): CyclePlan {
  const below = (bound: number): number => Math.floor(random.unit() * bound);
  const one = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const many = <T>(most: number, make: () => T): readonly T[] => Array.from({ length: below(most + 1) }, make);
  const loadMs = 300 + below(700);
  const during = one(["load", "commit", "flush", null, null] as const);
  const afterMs = below({ load: loadMs, commit: 40, flush: 400 }[during ?? "load"]);
  const isCatalogKilled = random.unit() < 0.08;
  const catalogKill = { afterMs: below(loadMs), awayMs: 100 + below(900) };
  return {
    loadMs,
    kill: during === null ? null : { during, afterMs },
    catalogKill: isCatalogKilled ? catalogKill : null,
    faults: many(4, () => one(faults)),
    foreign: many(4, () => ({ table: one(fireTables), action: one(foreignActions) })),
  };
}

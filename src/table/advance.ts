/** How far a turn of a table got, and what kept it from its end. */
import { OperationFailed } from "../base/errors.ts";
import type { CommitReport } from "./commit/committer.ts";
import type { SchemaOutcome } from "./commit/schema-committer.ts";

export type Advance = { readonly kind: "done" } | Stuck;

export interface Stuck {
  readonly kind: "stuck";
  readonly reason: string;
  readonly cause: unknown;
  /** It may go away by itself. */
  readonly isOutage: boolean;
  /** The table is to be paused. */
  readonly needsPerson: boolean;
}

/** The table cannot go on: it is paused, its catalog is away, or this node does not own what is needed. */
export class TableStuck extends OperationFailed {
  override readonly name = "TableStuck";
  constructor(topic: string, reason: string, cause?: unknown) {
    super(`the table of topic ${topic}: ${reason}`, { happened: "maybe", cause });
  }
}

export const unreachable = "the catalog cannot be reached";

export const done = { kind: "done" } as const;

export function troubleOf({ reason, cause }: Stuck): string {
  return cause instanceof Error ? `${reason}: ${cause.message}` : reason;
}

export function stuck(reason: string, cause?: unknown, isOutage = false): Stuck {
  return { kind: "stuck", reason, cause, isOutage, needsPerson: false };
}

export function forPerson(reason: string): Stuck {
  return { ...stuck(reason), needsPerson: true };
}

/** A schema that is not there yet. */
export function unready(outcome: Exclude<SchemaOutcome, { readonly kind: "ready" }>): Stuck {
  if (outcome.kind === "unavailable") return stuck(unreachable, outcome.cause, true);
  return forPerson(outcome.reason);
}

export function reasonOf(report: Exclude<CommitReport, { readonly kind: "committed" }>): string {
  switch (report.kind) {
    case "idle":
      return "nothing is pending";
    case "replaced":
      return `${report.reason}; it was translated again`;
    case "paused":
    case "diverged":
      return `${report.kind}: ${report.reason}`;
    case "superseded":
      return "another node commits to this table now";
    case "unavailable":
      return "the commit did not go through yet";
  }
}

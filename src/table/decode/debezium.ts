/** What the words of change envelopes mean. */
import { BadRecord } from "./bad-record.ts";

/** What a record does to the row of its key. */
export type Change = "upsert" | "delete" | "nothing";

/** Of envelopes under one schema: open one, then put what it holds. Throws BadRecord. */
export interface SchemaEnvelope {
  open(bytes: Uint8Array, start: number): Change;
  readonly hasBefore: boolean;
  readonly hasAfter: boolean;
  putBeforeKey(): void;
  /** The row, and what is left over of it. */
  putAfter(): void;
}

/** Debezium's `op`: create, update, delete, read (of a first snapshot), truncate, message (of the source's log, no row). */
export function debeziumChange(op: string): Change {
  switch (op) {
    case "c":
    case "r":
    case "u":
      return "upsert";
    case "d":
      return "delete";
    case "m":
      return "nothing";
    case "t":
      throw new BadRecord("unsupported-op", "the source table was truncated: its rows are deleted one by one only");
    default:
      throw new BadRecord("bad-envelope", `op is ${JSON.stringify(op.slice(0, 20))}`);
  }
}

const upserts = ["c", "i", "r", "u", "create", "insert", "read", "update", "upsert"];
const deletes = ["d", "delete"];

/** A field that says what becomes of its row, in upper or lower case. Debezium's `__deleted` says it as a truth. */
export function opFieldChange(op: string, field: string): Change {
  const word = op.toLowerCase();
  if (field === "__deleted" && (word === "true" || word === "false")) return word === "true" ? "delete" : "upsert";
  if (upserts.includes(word)) return "upsert";
  if (deletes.includes(word)) return "delete";
  throw new BadRecord("bad-envelope", `the op field says ${JSON.stringify(op.slice(0, 20))}`);
}

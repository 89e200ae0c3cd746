/**
 * A Debezium envelope in Avro. `op` stands behind the rows that it speaks of, so the fields are passed over once to find
 * where each begins, and then only what is needed is decoded.
 *
 *   before: [null, Row]   after: [null, Row]   source: {..}   op: string   ts_ms: ..
 */
import { CorruptData } from "../../base/errors.ts";
import type { StructNode } from "../parquet/columns.ts";
import { compileAvro } from "./avro.ts";
import { skipAvro } from "./avro-json.ts";
import type { AvroType } from "./avro-schema.ts";
import { BadRecord } from "./bad-record.ts";
import type { Bound } from "./bound.ts";
import { type AvroPut, Cursor } from "./cursor.ts";
import { debeziumChange, type SchemaEnvelope } from "./debezium.ts";

export interface EnvelopeTarget {
  readonly row: StructNode;
  /** The row's key columns alone; undefined when the Kafka key identifies rows. */
  readonly key: StructNode | undefined;
  readonly bound: Bound;
}

type Step = "before" | "after" | "op" | "skip";

/** Throws CorruptData for a schema that is no envelope: the mapping has refused it. */
export function compileAvroEnvelope(type: AvroType, target: EnvelopeTarget): SchemaEnvelope {
  if (type.kind !== "record") throw notEnvelope(type.kind);
  const typeOf = (name: string): AvroType | undefined => type.fields.find((field) => field.name === name)?.type;
  const [before, after, op] = [typeOf("before"), typeOf("after"), typeOf("op")];
  if (after === undefined || op?.kind !== "string") throw notEnvelope("a record without after or op");
  const steps = type.fields.map(({ name, type: field }) => ({
    step: stepOf(name),
    pass: (cursor: Cursor) => skipAvro(field, cursor),
  }));
  const putAfter = compileAvro(after, target.row, target.bound);
  const putBefore: AvroPut | undefined =
    before === undefined || target.key === undefined ? undefined : compileAvro(before, target.key, target.bound);
  const cursor = new Cursor();
  const at = { before: 0, after: 0, op: 0 };
  const present = { before: false, after: false };
  const put = (from: number, what: AvroPut): void => {
    cursor.again(from);
    what(cursor, 0);
  };
  return {
    open(bytes, start) {
      cursor.reset(bytes, start);
      for (const { step, pass } of steps) {
        if (step !== "skip") at[step] = cursor.at;
        pass(cursor);
      }
      if (cursor.at !== cursor.end) throw new BadRecord("malformed", "bytes are left behind the envelope");
      present.before = before !== undefined && isPresent(before, cursor, at.before);
      present.after = isPresent(after, cursor, at.after);
      cursor.at = at.op;
      const length = cursor.readLength();
      const from = cursor.take(length);
      return debeziumChange(Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString("latin1"));
    },
    get hasBefore() {
      return present.before;
    },
    get hasAfter() {
      return present.after;
    },
    putBeforeKey() {
      if (putBefore !== undefined) put(at.before, putBefore);
    },
    putAfter() {
      put(at.after, putAfter);
    },
  };
}

function stepOf(name: string): Step {
  return name === "before" || name === "after" || name === "op" ? name : "skip";
}

function isPresent(type: AvroType, cursor: Cursor, at: number): boolean {
  if (type.kind !== "union") return type.kind !== "null";
  cursor.at = at;
  return type.branches[cursor.readInt()]?.kind !== "null";
}

function notEnvelope(found: string): CorruptData {
  return new CorruptData({ source: "Avro schema", position: 0, expected: "a Debezium envelope", found });
}

/** Avro values as JSON text, where a recursive type has no columns any more; and passing over values that nobody wants. */
import { decimalText, unscaledAt } from "./avro-scalar.ts";
import type { AvroType } from "./avro-schema.ts";
import { BadRecord } from "./bad-record.ts";
import type { Cursor } from "./cursor.ts";
import { isValidUtf8 } from "./put-text.ts";

/** Values inside values: a record of a recursive type is as deep as its producer likes. */
const depthMax = 500;

/** Numbers in full, bytes in base64, decimals as text, unions as the value of their branch; NaN and infinities as text. */
export function avroJson(type: AvroType, cursor: Cursor): string {
  return valueJson(type, cursor, 0);
}

function valueJson(type: AvroType, cursor: Cursor, depth: number): string {
  if (depth > depthMax) throw new BadRecord("malformed", `values nest deeper than ${depthMax}`);
  switch (type.kind) {
    case "record": {
      const fields = type.fields.map(
        (field) => `${JSON.stringify(field.name)}:${valueJson(field.type, cursor, depth + 1)}`,
      );
      return `{${fields.join(",")}}`;
    }
    case "array": {
      const items: string[] = [];
      eachItem(cursor, () => items.push(valueJson(type.items, cursor, depth + 1)));
      return `[${items.join(",")}]`;
    }
    case "map": {
      const items: string[] = [];
      eachItem(cursor, () => {
        const key = JSON.stringify(textAt(cursor));
        items.push(`${key}:${valueJson(type.values, cursor, depth + 1)}`);
      });
      return `{${items.join(",")}}`;
    }
    case "union":
      return valueJson(branchAt(type.branches, cursor), cursor, depth + 1);
    case "boolean":
    case "bytes":
    case "double":
    case "enum":
    case "fixed":
    case "float":
    case "int":
    case "long":
    case "null":
    case "string":
    default:
      return scalarJson(type, cursor);
  }
}

function scalarJson(type: AvroType, cursor: Cursor): string {
  switch (type.kind) {
    case "null":
      return "null";
    case "boolean":
      return String(cursor.readBoolean());
    case "int":
      return String(cursor.readInt());
    case "long":
      cursor.readLong();
      return String(cursor.long);
    case "float":
      return numberJson(cursor.readFloat());
    case "double":
      return numberJson(cursor.readDouble());
    case "string":
      return JSON.stringify(textAt(cursor));
    case "enum": {
      const symbol = type.symbols[cursor.readInt()];
      if (symbol === undefined) throw new BadRecord("malformed", "an enum has no such symbol");
      return JSON.stringify(symbol);
    }
    case "bytes":
    case "fixed": {
      const length = type.kind === "fixed" ? type.size : cursor.readLength();
      const start = cursor.take(length);
      const bytes = cursor.bytes.subarray(start, start + length);
      if (type.logical?.name === "decimal") {
        return JSON.stringify(decimalText(unscaledAt(cursor.bytes, start, length), type.logical.scale));
      }
      return JSON.stringify(Buffer.from(bytes).toString("base64"));
    }
    case "array":
    case "map":
    case "record":
    case "union":
    default:
      throw new BadRecord("malformed", `no scalar: ${type.kind}`);
  }
}

function numberJson(value: number): string {
  return Number.isFinite(value) ? JSON.stringify(value) : JSON.stringify(String(value));
}

function textAt(cursor: Cursor): string {
  const length = cursor.readLength();
  const start = cursor.take(length);
  if (!isValidUtf8(cursor.bytes, start, start + length)) throw new BadRecord("invalid-utf8", "in a JSON column");
  return Buffer.from(cursor.bytes.buffer, cursor.bytes.byteOffset + start, length).toString("utf8");
}

function branchAt(branches: readonly AvroType[], cursor: Cursor): AvroType {
  const branch = branches[cursor.readInt()];
  if (branch === undefined) throw new BadRecord("malformed", "a union has no such branch");
  return branch;
}

function eachItem(cursor: Cursor, item: () => void): void {
  for (let count = cursor.readBlockCount(); count > 0; count = cursor.readBlockCount()) {
    for (let left = count; left > 0; left -= 1) item();
  }
}

export function skipAvro(type: AvroType, cursor: Cursor, depth = 0): void {
  if (depth > depthMax) throw new BadRecord("malformed", `values nest deeper than ${depthMax}`);
  switch (type.kind) {
    case "null":
      return;
    case "boolean":
      cursor.take(1);
      return;
    case "int":
    case "long":
    case "enum":
      cursor.readLong();
      return;
    case "float":
      cursor.take(4);
      return;
    case "double":
      cursor.take(8);
      return;
    case "bytes":
    case "string":
      cursor.take(cursor.readLength());
      return;
    case "fixed":
      cursor.take(type.size);
      return;
    case "array":
      eachItem(cursor, () => skipAvro(type.items, cursor, depth + 1));
      return;
    case "map":
      eachItem(cursor, () => {
        cursor.take(cursor.readLength());
        skipAvro(type.values, cursor, depth + 1);
      });
      return;
    case "union":
      skipAvro(branchAt(type.branches, cursor), cursor, depth + 1);
      return;
    case "record":
      for (const field of type.fields) skipAvro(field.type, cursor, depth + 1);
  }
}

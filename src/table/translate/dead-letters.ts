/** The dead-letter table: records that became no row, whole, with where they stood and why (rule M8). */

import { utf8Text } from "../../base/bytes.ts";
import type { PlaceColumns } from "../commit/live-files.ts";
import type { BadRecordReason } from "../decode/bad-record.ts";
import type { Schema } from "../iceberg/types.ts";
import { Columns, type ListNode, putAbsent, putEmpty, type StructNode } from "../parquet/columns.ts";
import type { BytesLeaf, Int32Leaf, Int64Leaf } from "./leaf.ts";
import { putHeaders, putTimestamp, type RecordHeader } from "./translate-metadata.ts";

export interface DeadLetter {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds, as the record says it. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
  /** Of the value, when it names one. */
  readonly schemaId: number | undefined;
  /** "corrupt-batch": the records of a batch cannot be told apart; the value is what is left of the batch. */
  readonly reason: BadRecordReason | "corrupt-batch";
  readonly detail: string;
  readonly mappingVersion: number;
}

/** Fixed: field ids 1 to 14 in this order. New columns may be added behind. */
export const deadLetterSchema: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: 1, name: "topic", required: true, type: "string" },
    { id: 2, name: "partition", required: true, type: "int" },
    { id: 3, name: "offset", required: true, type: "long" },
    { id: 4, name: "timestamp", required: false, type: "timestamptz" },
    { id: 5, name: "key", required: false, type: "binary" },
    { id: 6, name: "value", required: false, type: "binary" },
    {
      id: 7,
      name: "headers",
      required: false,
      type: {
        type: "list",
        "element-id": 8,
        "element-required": true,
        element: {
          type: "struct",
          fields: [
            { id: 9, name: "key", required: true, type: "string" },
            { id: 10, name: "value", required: false, type: "binary" },
          ],
        },
      },
    },
    { id: 11, name: "schema_id", required: false, type: "int" },
    { id: 12, name: "reason", required: true, type: "string" },
    { id: 13, name: "detail", required: true, type: "string" },
    { id: 14, name: "mapping_version", required: true, type: "int" },
  ],
};

/** Where a letter's record stood. */
export const letterPlace: PlaceColumns = { partition: 2, offset: 3 };

export class DeadLetters {
  readonly columns = new Columns(deadLetterSchema);

  add(letter: DeadLetter): void {
    this.#text("topic", letter.topic);
    this.#int32("partition", letter.partition);
    (this.#leaf("offset") as Int64Leaf).putNumber(0, letter.offset);
    putTimestamp(this.#node("timestamp"), letter.timestamp);
    this.#bytes("key", letter.key);
    this.#bytes("value", letter.value);
    const headers = this.#node("headers") as ListNode;
    if (letter.headers.length === 0) putEmpty(headers, 0);
    // Keys must be text here too: what is not UTF-8 in them is shown as U+FFFD.
    else
      putHeaders(
        headers,
        letter.headers.map(({ key, value }) => ({ key: wellFormed(key), value })),
      );
    if (letter.schemaId === undefined) putAbsent(this.#node("schema_id"), 0);
    else this.#int32("schema_id", letter.schemaId);
    this.#text("reason", letter.reason);
    this.#text("detail", letter.detail);
    this.#int32("mapping_version", letter.mappingVersion);
    this.columns.endRow();
  }

  #node(name: string): StructNode["fields"][number]["node"] {
    const field = this.columns.root.fields.find((each) => each.name === name);
    if (field === undefined) throw new Error(`no column ${name}`);
    return field.node;
  }

  #leaf(name: string): Columns["leaves"][number] | undefined {
    return this.#node(name).leaves[0];
  }

  #text(name: string, text: string): void {
    (this.#leaf(name) as BytesLeaf).putString(0, text);
  }

  #int32(name: string, value: number): void {
    (this.#leaf(name) as Int32Leaf).put(0, value);
  }

  #bytes(name: string, bytes: Uint8Array | null): void {
    if (bytes === null) putAbsent(this.#node(name), 0);
    else (this.#leaf(name) as BytesLeaf).put(0, bytes, 0, bytes.length);
  }
}

function wellFormed(bytes: Uint8Array): Uint8Array {
  return new TextEncoder().encode(utf8Text(bytes));
}

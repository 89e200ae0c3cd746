/** Proves: an Avro file of somebody else is read, or refused as corrupt in little time and memory, whatever it announces. */
import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../../src/base/errors.ts";
import { readAvroFile } from "../../../src/table/iceberg/avro-file.ts";
import { AvroWriter } from "../../../src/table/iceberg/avro-value.ts";

function fileOf(schema: unknown, block: (writer: AvroWriter) => void, codec = "null"): Uint8Array {
  const inner = new AvroWriter();
  block(inner);
  const writer = new AvroWriter();
  writer.raw(Buffer.from("Obj\u0001"));
  writer.long(2);
  for (const [name, value] of [
    ["avro.schema", JSON.stringify(schema)],
    ["avro.codec", codec],
  ] as const) {
    writer.string(name);
    writer.string(value);
  }
  writer.long(0);
  writer.raw(new Uint8Array(16));
  writer.long(1);
  writer.bytes(inner.take());
  writer.raw(new Uint8Array(16));
  return writer.take();
}

const record = (type: unknown) => ({ type: "record", name: "A", fields: [{ name: "f", type }] });

describe("is corrupt", () => {
  test.each<[what: string, bytes: Uint8Array]>([
    [
      "an array of more nothings than memory has room for",
      fileOf(record({ type: "array", items: "null" }), (writer) => {
        writer.long(30_000_000);
        writer.long(0);
      }),
    ],
    ["a record that holds itself", fileOf(record("A"), (writer) => writer.byte(0))],
    [
      "a list of lists of lists without end",
      fileOf(record({ type: "array", items: "A" }), (writer) => {
        for (let depth = 0; depth < 50_000; depth += 1) writer.long(1);
      }),
    ],
    [
      "snappy that announces four gigabytes",
      fileOf(record("long"), (writer) => writer.raw(Buffer.from("ffffffff0f0000000000", "hex")), "snappy"),
    ],
  ])("%s", async (_, bytes) => {
    await expect(readAvroFile(bytes, "manifest")).rejects.toThrow(CorruptData);
  });
});

test("a block of zstandard may be several frames", async () => {
  const value = new AvroWriter();
  value.long(123_456_789);
  const bytes = value.take();
  const frames = [bytes.subarray(0, 2), bytes.subarray(2)].map((part) => zstdCompressSync(part));
  const file = fileOf(record("long"), (writer) => writer.raw(Buffer.concat(frames)), "zstandard");
  expect((await readAvroFile(file, "manifest")).values).toEqual([{ f: 123_456_789 }]);
});

/** Proves that a range of record batches becomes rows, dead letters and skips that add up, in both translators alike. */
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import type { Offset } from "../../../src/base/ids.ts";
import { systemRuntime } from "../../../src/base/runtime.ts";
import { buildMarker, type NewRecord } from "../../../src/protocol/records.ts";
import type { PartitionSpec, Transform } from "../../../src/table/iceberg/types.ts";
import { unsorted } from "../../../src/table/layout.ts";
import { evolve, initialMapping, type SchemaId } from "../../../src/table/schema/schema-map.ts";
import { deadLetterSchema } from "../../../src/table/translate/dead-letters.ts";
import { lettersOf } from "../../../src/table/translate/letter-rows.ts";
import type { RangeInput, Translator } from "../../../src/table/translate/translate.ts";
import { InlineTranslator } from "../../../src/table/translate/translate-inline.ts";
import { PoolTranslator } from "../../../src/table/translate/translate-pool.ts";
import { queryByDuckDb, type Row, readByHyparquet, readFooter } from "../parquet-readers.ts";
import {
  batchOf,
  inlineTranslator,
  Registry,
  rangeOf,
  roundLimits,
  tableSettings,
  translateAll,
  utf8,
  withSchemaId,
} from "../translate-fixtures.ts";

const text = (value: string) => ({ value: utf8(value) });
const strings = tableSettings("string");

async function rowsOf(files: readonly { readonly bytes: Uint8Array }[]): Promise<readonly Row[]> {
  return (await Promise.all(files.map((file) => readByHyparquet(file.bytes)))).flat();
}

async function valuesOf(files: readonly { readonly bytes: Uint8Array }[]): Promise<readonly unknown[]> {
  return (await rowsOf(files)).map((row) => row["value"]);
}

describe("which records become rows", () => {
  test("only those of [from, to)", async () => {
    const range = { ...rangeOf(["a", "b", "c", "d"].map(text)), from: 1, to: 3 };
    const { outcomes, result } = await translateAll(inlineTranslator(), strings, [range]);
    expect(outcomes).toMatchObject([{ rows: 2, skips: 0 }]);
    expect(await valuesOf(result.files)).toEqual(["b", "c"]);
  });

  test("M1 offsets that cleaning took are skips", async () => {
    const batch = batchOf(
      [
        { ...text("a"), offsetDelta: 1 },
        { ...text("b"), offsetDelta: 4 },
      ],
      {
        lastOffsetDelta: 7,
        baseOffset: 10 as Offset,
      },
    );
    const range: RangeInput = { partition: 0, batches: [batch], aborted: [], from: 10, to: 18 };
    const { outcomes } = await translateAll(inlineTranslator(), strings, [range]);
    expect(outcomes).toMatchObject([{ rows: 2, deadLetters: 0, skips: 6 }]);
  });

  test("M2 aborted transactions and control batches are no rows; a later transaction of the same producer is", async () => {
    const transactional = (offset: number, producerId: number, value: string) =>
      batchOf([text(value)], {
        baseOffset: offset as Offset,
        producerId,
        producerEpoch: 0,
        baseSequence: 0,
        isTransactional: true,
      });
    const marker = (offset: number, producerId: number, outcome: "abort" | "commit") => {
      const bytes = buildMarker({ outcome, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 });
      new DataView(bytes.buffer, bytes.byteOffset).setBigInt64(0, BigInt(offset));
      return bytes;
    };
    const range: RangeInput = {
      partition: 0,
      batches: [
        transactional(0, 7, "aborted"),
        transactional(1, 8, "other producer"),
        batchOf([text("plain")], { baseOffset: 2 as Offset }),
        transactional(3, 7, "aborted too"),
        marker(4, 7, "abort"),
        marker(5, 8, "commit"),
        transactional(6, 7, "committed"),
        marker(7, 7, "commit"),
      ],
      aborted: [{ producerId: 7, firstOffset: 0 }],
      from: 0,
      to: 8,
    };
    const { outcomes, result } = await translateAll(inlineTranslator(), strings, [range]);
    expect(outcomes).toMatchObject([{ rows: 3, skips: 5 }]);
    expect(await valuesOf(result.files)).toEqual(["other producer", "plain", "committed"]);
  });

  test.each(["gzip", "snappy", "lz4", "zstd"] as const)("batches compressed with %s", async (compression) => {
    const values = Array.from({ length: 100 }, (_, at) => `value ${at}`);
    const { result } = await translateAll(inlineTranslator(), strings, [rangeOf(values.map(text), { compression })]);
    expect(await valuesOf(result.files)).toEqual(values);
  });
});

describe("metadata columns", () => {
  test("partition, offset, timestamp with its type, key and headers as they came", async () => {
    const headers = [
      { key: utf8("trace"), value: Uint8Array.of(1) },
      { key: utf8("trace"), value: null },
    ];
    const ranges = [
      rangeOf([{ key: utf8("k"), value: utf8("v"), headers }], { partition: 3, baseOffset: (2 ** 40) as Offset }),
      rangeOf([{ value: utf8("w"), timestamp: -1 }], { partition: 4, timestampType: "append" }),
    ];
    const { result } = await translateAll(inlineTranslator(), strings, ranges);
    expect(await rowsOf(result.files)).toEqual([
      {
        _kafka_partition: 3,
        _kafka_offset: 2n ** 40n,
        _kafka_timestamp: new Date(1_700_000_000_000),
        _kafka_timestamp_type: "CreateTime",
        _kafka_key: utf8("k"),
        _kafka_headers: [
          { key: "trace", value: Uint8Array.of(1) },
          { key: "trace", value: null },
        ],
        value: "v",
      },
      {
        _kafka_partition: 4,
        _kafka_offset: 0n,
        _kafka_timestamp: null,
        _kafka_timestamp_type: "LogAppendTime",
        _kafka_key: null,
        _kafka_headers: [],
        value: "w",
      },
    ]);
  });

  test("M12 a timestamp that no calendar has is null, and counted", async () => {
    const range = rangeOf([
      { ...text("a"), timestamp: 253_402_300_800_000 },
      { ...text("b"), timestamp: -1 },
    ]);
    const { outcomes, result } = await translateAll(inlineTranslator(), strings, [range]);
    expect(outcomes).toMatchObject([{ rows: 2, timestampsOutOfRange: 1 }]);
    expect((await rowsOf(result.files)).map((row) => row["_kafka_timestamp"])).toEqual([null, null]);
  });

  test("only those that are asked for, under the asked prefix; partition and offset always", async () => {
    const settings = tableSettings("raw", {
      metadataPrefix: "_k",
      metadataColumns: ["key"],
      key: { decode: "string" },
    });
    const { result } = await translateAll(inlineTranslator(), settings, [rangeOf([{ key: utf8("k"), value: null }])]);
    expect(await rowsOf(result.files)).toEqual([{ _k_partition: 0, _k_offset: 0n, _k_key: "k", value: null }]);
  });

  test("a key with a schema id is typed, and comes with its first schema", async () => {
    const registry = new Registry();
    const fields = [{ name: "id", type: "int" }];
    const schemaId = registry.register("AVRO", { type: "record", name: "Key", fields });
    const settings = tableSettings("string", { key: { decode: "schema-id" }, metadataColumns: ["key"] });
    const records = [
      { key: null, ...text("a") },
      { key: withSchemaId(schemaId, Uint8Array.of(14)), ...text("b") },
    ];
    const { result } = await translateAll(inlineTranslator(registry), settings, [rangeOf(records)]);
    expect((await rowsOf(result.files)).map((row) => row["_kafka_key"])).toEqual([undefined, { id: 7 }]);
  });
});

describe("M8 bad records", () => {
  const bad = { key: utf8("k"), value: Uint8Array.of(0xff), headers: [{ key: Uint8Array.of(0xfe), value: null }] };
  const range = rangeOf([text("a"), bad, text("b")], { partition: 2, baseOffset: 5 as Offset });

  test("dlq: the whole record is a dead letter, its neighbours are rows", async () => {
    const { outcomes, result, mapping } = await translateAll(inlineTranslator(), strings, [range]);
    expect(outcomes).toMatchObject([{ kind: "added", rows: 2, deadLetters: 1, skips: 0 }]);
    expect(await valuesOf(result.files)).toEqual(["a", "b"]);
    expect(await rowsOf(result.deadLetterFile === undefined ? [] : [result.deadLetterFile])).toEqual([
      {
        topic: "orders",
        partition: 2,
        offset: 6n,
        timestamp: new Date(1_700_000_000_000),
        key: utf8("k"),
        value: Uint8Array.of(0xff),
        headers: [{ key: "\ufffd", value: null }],
        schema_id: null,
        reason: "invalid-utf8",
        detail: "in a header's key",
        mapping_version: mapping.version,
      },
    ]);
    const ids = readFooter((result.deadLetterFile as { bytes: Uint8Array }).bytes).schema.map((each) => each.field_id);
    expect(ids.filter((id) => id !== undefined)).toEqual(Array.from({ length: 14 }, (_, at) => at + 1));
    expect(deadLetterSchema.fields.at(-1)?.id).toBe(14);
  });

  test("skip: dropped and counted", async () => {
    const settings = tableSettings("string", { errors: { policy: "skip", deadLetterTable: "" } });
    const { outcomes, result } = await translateAll(inlineTranslator(), settings, [range]);
    expect(outcomes).toMatchObject([{ rows: 2, deadLetters: 0, skips: 1, dropped: 1 }]);
    expect(result.deadLetterFile).toBeUndefined();
  });

  test("suspend: the range is refused with its first bad offset, and the round is as before", async () => {
    const settings = tableSettings("string", { errors: { policy: "suspend", deadLetterTable: "" } });
    const good = rangeOf([text("good")]);
    const { outcomes, result } = await translateAll(inlineTranslator(), settings, [good, range, good]);
    expect(outcomes).toMatchObject([
      { kind: "added" },
      { kind: "bad-record", offset: 6, reason: "invalid-utf8" },
      { kind: "added" },
    ]);
    expect(await valuesOf(result.files)).toEqual(["good", "good"]);
  });

  test("a batch whose records cannot be told apart is one dead letter", async () => {
    const broken = batchOf([text("a"), text("b")], { baseOffset: 0 as Offset });
    broken[61] = 0x7f; // The first record's length.
    const next = batchOf([text("c")], { baseOffset: 2 as Offset });
    const whole: RangeInput = { partition: 0, batches: [broken, next], aborted: [], from: 0, to: 3 };
    const { outcomes, result } = await translateAll(inlineTranslator(), strings, [whole]);
    expect(outcomes).toMatchObject([{ rows: 1, deadLetters: 1, skips: 1 }]);
    const [letter] = await rowsOf(result.deadLetterFile === undefined ? [] : [result.deadLetterFile]);
    expect(letter).toMatchObject({ reason: "corrupt-batch", value: broken, offset: 0n });
  });

  test("a batch that breaks off is a dead letter from there on: no two things have one offset", async () => {
    const records = [text("a"), { value: Uint8Array.of(0xff) }, text("c")];
    const broken = batchOf(records, { baseOffset: 0 as Offset });
    broken[broken.length - 8] = 0x7f; // The last record's length.
    const range = (to: number): RangeInput => ({ partition: 0, batches: [broken], aborted: [], from: 0, to });
    const { outcomes, result } = await translateAll(inlineTranslator(), strings, [range(3)]);
    expect(outcomes).toMatchObject([{ rows: 1, deadLetters: 2, skips: 0 }]);
    const letters = await rowsOf(result.deadLetterFile === undefined ? [] : [result.deadLetterFile]);
    expect(letters.map(({ offset, reason }) => [offset, reason])).toEqual([
      [1n, "invalid-utf8"],
      [2n, "corrupt-batch"],
    ]);
    const before = await translateAll(inlineTranslator(), strings, [range(2)]);
    expect(before.outcomes).toMatchObject([{ rows: 1, deadLetters: 1, skips: 0 }]);
  });

  test("a refused schema's records are dead letters, others' are not", async () => {
    const registry = new Registry();
    const good = registry.register("AVRO", { type: "record", name: "R", fields: [{ name: "a", type: "int" }] });
    const clash = registry.register("AVRO", { type: "record", name: "R", fields: [{ name: "a", type: "string" }] });
    const values = [
      withSchemaId(good, Uint8Array.of(2)),
      withSchemaId(clash, Uint8Array.of(0)),
      withSchemaId(99, Uint8Array.of(0)),
    ];
    const { outcomes, result } = await translateAll(inlineTranslator(registry), tableSettings("schema-id"), [
      rangeOf(values.map((value) => ({ value }))),
    ]);
    expect(outcomes).toMatchObject([{ rows: 1, deadLetters: 2 }]);
    const letters = await rowsOf(result.deadLetterFile === undefined ? [] : [result.deadLetterFile]);
    expect(letters.map((letter) => [letter["schema_id"], letter["reason"]])).toEqual([
      [clash, "schema-refused"],
      [99, "schema-refused"],
    ]);
  });
});

describe("a field that says nothing leaves the column that another schema has made absent", () => {
  const inner = (name: string, fields: readonly unknown[]) => ({ type: "record", name, fields });
  const avro: readonly (readonly [unknown, readonly number[]])[] = [
    ["int", [2]],
    ["string", [2, 97]],
    ["bytes", [2, 97]],
    [{ type: "fixed", name: "F", size: 2 }, [1, 2]],
    [{ type: "array", items: "int" }, [2, 2, 0]],
    [{ type: "map", values: "int" }, [2, 2, 97, 2, 0]],
    [inner("I", [{ name: "x", type: "int" }]), [2]],
  ];
  const void_ = { type: "fixed", name: "V", size: 0 };
  const nothings: readonly (readonly [unknown, readonly number[]])[] = [
    [inner("E", []), []],
    [void_, []],
    [{ type: "array", items: inner("E", []) }, [4, 0]],
    [{ type: "map", values: "null" }, [2, 2, 97, 0]],
    [["null", inner("E", [{ name: "v", type: void_ }])], [2]],
    [["null", inner("E", []), inner("G", [])], [4]],
  ];
  test("in Avro", async () => {
    for (const [type, some] of avro) {
      for (const [nothing, none] of nothings) {
        const registry = new Registry();
        const ids = [type, nothing].map((each) => {
          return registry.register(
            "AVRO",
            inner("R", [
              { name: "f", type: each },
              { name: "last", type: "int" },
            ]),
          );
        });
        const values = [some, none].map((bytes, at) =>
          withSchemaId(ids[at] as number, Uint8Array.from([...bytes, 2 + at * 2])),
        );
        const settings = tableSettings("schema-id");
        const range = rangeOf(values.map((value) => ({ value })));
        const { result, outcomes } = await translateAll(inlineTranslator(registry), settings, [range]);
        const words = JSON.stringify([type, nothing]);
        expect(outcomes, words).toMatchObject([{ rows: 2 }]);
        const sql = "SELECT last, f::VARCHAR AS f FROM read_parquet($file)";
        const rows = await queryByDuckDb(result.files[0]?.bytes ?? new Uint8Array(0), sql);
        expect(rows.map((row) => row["last"])).toEqual([1, 2]);
        expect([rows[0]?.["f"], words]).not.toEqual([null, words]);
        if (typeof type === "string") expect([rows[1]?.["f"], words]).toEqual([null, words]);
      }
    }
  });
  test("in Protobuf", async () => {
    const fields = ["int32 f", "string f", "repeated int32 f", "map<string, int32> f", "I f", "repeated I f"];
    const voids = ["E f", "repeated E f", "map<string, E> f", "W f"];
    for (const field of fields) {
      for (const nothing of voids) {
        const registry = new Registry();
        const proto = (each: string) =>
          `syntax = "proto3"; message R { ${each} = 1; int32 last = 2; } message I { int32 x = 1; } message E {} message W { E e = 1; }`;
        const ids = [field, nothing].map((each) => registry.register("PROTOBUF", proto(each)));
        const bodies = [Uint8Array.of(0, 16, 7), Uint8Array.of(0, 10, 0, 16, 7)];
        const range = rangeOf(bodies.map((body, at) => ({ value: withSchemaId(ids[at] as number, body) })));
        const { outcomes } = await translateAll(inlineTranslator(registry), tableSettings("schema-id"), [range]);
        expect(outcomes, `${field}, ${nothing}`).toMatchObject([{ rows: 2 }]);
      }
    }
  });
});

test("a table whose keys are not wanted any more has rows without them, in files that are whole", async () => {
  const record = { key: utf8("k"), value: utf8("v") };
  const { mapping } = await translateAll(inlineTranslator(), strings, [rangeOf([record])]);
  const metadataColumns = strings.metadataColumns.filter((column) => column !== "key");
  const range = rangeOf([record, record]);
  const { result } = await translateAll(inlineTranslator(), { ...strings, metadataColumns }, [range], { mapping });
  const sql = "SELECT _kafka_key, value FROM read_parquet($file)";
  expect(await queryByDuckDb(result.files[0]?.bytes ?? new Uint8Array(0), sql)).toEqual([
    { _kafka_key: null, value: "v" },
    { _kafka_key: null, value: "v" },
  ]);
});

test("M12 Kafka's timestamps are exact to the last one of the year 9999", async () => {
  const timestamps = [253_402_300_799_999, 72_057_594_037_929, 9_007_199_254_741, -62_135_596_799_999];
  const values = [utf8("x"), Uint8Array.of(0xff)];
  const records = timestamps.flatMap((timestamp) => values.map((value) => ({ value, timestamp })));
  const { result } = await translateAll(inlineTranslator(), strings, [rangeOf(records)]);
  const micros = async (file: { readonly bytes: Uint8Array } | undefined, column: string) => {
    const sql = `SELECT epoch_us(${column})::VARCHAR AS micros FROM read_parquet($file)`;
    return (await queryByDuckDb(file?.bytes ?? new Uint8Array(0), sql)).map((row) => row["micros"]);
  };
  const expected = timestamps.map((timestamp) => `${timestamp}000`);
  expect(await micros(result.files[0], "_kafka_timestamp")).toEqual(expected);
  expect(await micros(result.deadLetterFile, '"timestamp"')).toEqual(expected);
  const letters = [...lettersOf(result.deadLetterFile?.bytes ?? new Uint8Array(0), "letters")].flat();
  expect(letters.map((letter) => letter.timestamp)).toEqual(timestamps);
});

describe("A3 G11 table partitions", () => {
  const field = (sourceId: number, transform: Transform): PartitionSpec => ({
    "spec-id": 0,
    fields: [{ "source-id": sourceId, "field-id": 1000, name: "p", transform }],
  });

  test("one file each, with the value computed from the rows and all columns in it", async () => {
    const hour = 3_600_000;
    const records = Array.from({ length: 30 }, (_, at) => ({
      ...text(`${at}`),
      timestamp: at === 29 ? -1 : (at % 3) * hour,
      headers: at % 2 === 0 ? [] : [{ key: utf8("h"), value: utf8(`${at}`) }],
    }));
    const { result } = await translateAll(inlineTranslator(), strings, [rangeOf(records)], { spec: field(3, "hour") });
    expect(result.files.map((file) => file.partition)).toEqual([[0], [1], [2], [null]]);
    expect(result.files.map((file) => file.file.recordCount)).toEqual([10, 10, 9, 1]);
    const rows = await rowsOf(result.files);
    expect(rows.map((row) => row["_kafka_offset"]).sort((a, b) => Number(a) - Number(b))).toEqual(
      records.map((_, at) => BigInt(at)),
    );
    for (const row of rows) {
      const at = Number(row["value"]);
      expect(row["_kafka_headers"]).toEqual(at % 2 === 0 ? [] : [{ key: "h", value: utf8(`${at}`) }]);
    }
  });

  test("A12 row groups and files end at their sizes", async () => {
    const ranges = Array.from({ length: 12 }, (_, at) =>
      rangeOf(
        Array.from({ length: 50 }, (_row, row) => text(`${at} ${row}`.repeat(30))),
        { baseOffset: (at * 50) as Offset },
      ),
    );
    const translator = inlineTranslator(new Registry(), { rowGroupBytesMax: 1 });
    const one = await translateAll(translator, strings, ranges);
    expect(one.result.files.map((file) => file.file.splitOffsets.length)).toEqual([12]);
    const many = await translateAll(translator, strings, ranges, { targetFileBytes: 1 });
    expect(many.result.files).toHaveLength(12);
    expect(await rowsOf(many.result.files)).toEqual(await rowsOf(one.result.files));
  });

  test("a table's order without fields is none: a file has many row groups", async () => {
    const ranges = [0, 1, 2].map((at) => rangeOf([text("b"), text("a")], { baseOffset: (at * 2) as Offset }));
    const translator = inlineTranslator(new Registry(), { rowGroupBytesMax: 1 });
    const { result } = await translateAll(translator, strings, ranges, { sortOrder: unsorted });
    expect(result.files.map((file) => file.file.splitOffsets.length)).toEqual([3]);
  });

  test("many open partitions stay within their memory", async () => {
    const ranges = Array.from({ length: 4 }, (_, at) =>
      rangeOf(
        Array.from({ length: 200 }, (_row, row) => text(`${row}`)),
        { baseOffset: (at * 200) as Offset },
      ),
    );
    const translator = inlineTranslator(new Registry(), { openBytesMax: 10_000 });
    const { result } = await translateAll(translator, strings, ranges, { spec: field(2, "bucket[20]") });
    expect(result.files).toHaveLength(20);
    expect(await rowsOf(result.files)).toHaveLength(800);
  });
});

test("a range that needs a schema leaves the round as it was", async () => {
  const registry = new Registry();
  const schema = { type: "record", name: "R", fields: [{ name: "a", type: "int" }] };
  const known = registry.register("AVRO", schema);
  const fresh = registry.register("AVRO", { ...schema, fields: [{ name: "b", type: "int" }] });
  const settings = tableSettings("schema-id");
  const record = (schemaId: number) => ({ value: withSchemaId(schemaId, Uint8Array.of(2)) });
  const source = {
    kind: "schema-id",
    part: "value",
    schemaId: known,
    schema: { type: "AVRO", text: JSON.stringify(schema) },
  } as const;
  const { mapping } = evolve(initialMapping(settings), source, settings);
  await using round = inlineTranslator(registry).beginRound({
    mapping,
    spec: { "spec-id": 0, fields: [] },
    settings,
    targetFileBytes: 1e9,
  });
  expect(await round.add(rangeOf([record(known)]))).toMatchObject({ kind: "added", rows: 1 });
  const needs = await round.add(rangeOf([record(known), record(fresh), record(known)]));
  expect(needs).toMatchObject({ kind: "needs-schema", sources: [{ kind: "schema-id", schemaId: fresh }] });
  expect((await round.finish()).rows).toBe(1);
});

test("a registry that fails fails the add, which succeeds when it is repeated", async () => {
  const registry = new Registry();
  const schema = { type: "record", name: "R", fields: [{ name: "a", type: "int" }] };
  const schemaId = registry.register("AVRO", schema);
  const settings = tableSettings("schema-id");
  const range = rangeOf([{ value: withSchemaId(schemaId, Uint8Array.of(2)) }]);
  const { mapping } = await translateAll(inlineTranslator(registry), settings, [range]);
  const working = registry.schemaById;
  let isDown = true;
  const flaky = Object.assign(new Registry(), {
    schemaById: (id: SchemaId) => (isDown ? Promise.reject(new Error("registry is down")) : working(id)),
  });
  await using round = inlineTranslator(flaky).beginRound({
    mapping,
    spec: { "spec-id": 0, fields: [] },
    settings,
    targetFileBytes: 1e9,
  });
  await expect(round.add(range)).rejects.toThrow("registry is down");
  isDown = false;
  expect(await round.add(range)).toMatchObject({ kind: "added", rows: 1 });
});

describe("M11 the same records under the same mapping make the same bytes", () => {
  const registry = new Registry();
  const schemaId = registry.register("AVRO", {
    type: "record",
    name: "R",
    fields: [
      { name: "n", type: "int" },
      { name: "tags", type: { type: "array", items: "string" } },
    ],
  });
  const pool = new PoolTranslator({
    clock: systemRuntime().clock,
    workers: 2,
    limits: roundLimits,
    schemaById: registry.schemaById,
  });
  afterAll(async () => await pool[Symbol.asyncDispose]());
  const settings = tableSettings("schema-id");

  async function filesOf(translator: Translator, ranges: readonly RangeInput[]) {
    const { outcomes, result } = await translateAll(translator, settings, ranges, {
      spec: { "spec-id": 0, fields: [{ "source-id": 2, "field-id": 1000, name: "o", transform: "bucket[3]" }] },
    });
    const bytes = [...result.files, result.deadLetterFile].map((file) =>
      Buffer.from(file?.bytes ?? []).toString("base64"),
    );
    return { outcomes, bytes, files: result.files.map((file) => file.file) };
  }

  test("inline and in workers, for any records, good and bad", async () => {
    const payload = fc.oneof(
      fc.constant(Uint8Array.of(4, 2, 2, 97, 0)),
      fc.constant(Uint8Array.of(6, 0)),
      fc.uint8Array({ maxLength: 12 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { minLength: 1, maxLength: 40 }), async (payloads) => {
        const ranges = [rangeOf(payloads.map((each) => ({ value: withSchemaId(schemaId, each) })))];
        const inline = await filesOf(inlineTranslator(registry), ranges);
        expect(await filesOf(inlineTranslator(registry), ranges)).toEqual(inline);
        expect(await filesOf(pool, ranges)).toEqual(inline);
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  test("the caller's batches stay its own", async () => {
    const range = rangeOf([{ value: withSchemaId(schemaId, Uint8Array.of(6, 0)) }]);
    await filesOf(pool, [range]);
    expect(range.batches[0]?.byteLength).toBeGreaterThan(0);
  });

  test("what rows do to keys, and rows that are left out, in either", async () => {
    const mode = { write: "upsert", key: [], envelope: "none", opField: "op", tombstone: "delete" } as const;
    const upsert = tableSettings("string", { key: { decode: "string" }, mode });
    const record = (key: string, value: string | null) => ({
      key: utf8(key),
      value: value === null ? null : utf8(value),
    });
    const range = rangeOf([record("a", "1"), record("b", "2"), record("a", null), record("b", "3")], { partition: 7 });
    const plan = {
      mapping: initialMapping(upsert),
      spec: { "spec-id": 0, fields: [] },
      settings: upsert,
      targetFileBytes: 1 << 30,
    };
    for (const translator of [inlineTranslator(), pool]) {
      await using round = translator.beginRound(plan);
      await round.add(range);
      const { keys, partitions, offsets, timestamps } = await round.touches();
      const digests = [0, 1, 2, 3].map((at) => Buffer.from(keys.subarray(at * 16, (at + 1) * 16)).toString("hex"));
      expect(digests).toEqual([digests[0], digests[1], digests[0], digests[1]]);
      expect(digests[0]).not.toBe(digests[1]);
      expect([partitions, offsets].map((each) => [...each])).toEqual([
        [7, 7, 7, 7],
        [0, 1, 2, 3],
      ]);
      expect(new Set(timestamps)).toEqual(new Set([1_700_000_000_000]));
      const { files, deleteFile } = await round.finish(Uint8Array.of(0, 1, 1, 1));
      expect(await valuesOf(files)).toEqual(["1"]);
      expect(deleteFile?.file.recordCount).toBe(1);
    }
  });

  test("a round in a closed pool fails, and says that nothing happened", async () => {
    const closed = new PoolTranslator({
      clock: systemRuntime().clock,
      workers: 1,
      limits: roundLimits,
      schemaById: registry.schemaById,
    });
    const plan = {
      mapping: initialMapping(settings),
      spec: { "spec-id": 0, fields: [] },
      settings,
      targetFileBytes: 1e9,
    };
    const round = closed.beginRound(plan);
    const waiting = round.finish();
    const failure = expect(waiting).rejects.toMatchObject({ happened: "no" });
    await closed[Symbol.asyncDispose]();
    await failure;
    expect(() => closed.beginRound(plan)).toThrow("translator is closed");
  });
});

test("Protobuf records name their message, and each message of a schema has its columns", async () => {
  const registry = new Registry();
  const schemaId = registry.register(
    "PROTOBUF",
    'syntax = "proto3"; message A { int32 a = 1; message In { string s = 1; } } message B { bool b = 1; }',
  );
  const payload = (...bytes: readonly number[]): Partial<NewRecord> => ({
    value: withSchemaId(schemaId, Uint8Array.from(bytes)),
  });
  // Indexes [0] in short and in full, [0, 0], [1], one that is not there, and one that is no path.
  const records = [payload(0, 8, 5), payload(2, 0, 8, 6), payload(4, 0, 0, 10, 1, 120), payload(2, 2, 8, 1)];
  const bad = [payload(2, 8, 8, 1), payload(255)];
  const settings = tableSettings("schema-id", { metadataColumns: [] });
  await using translator = inlineTranslator(registry);
  const { mapping, result } = await translateAll(translator, settings, [rangeOf([...records, ...bad])]);
  expect(mapping.schema.fields.slice(2).map(({ name }) => name)).toEqual(["a", "s", "b"]);
  expect(result).toMatchObject({ rows: 4, deadLetters: 2 });
});

test("Avro and JSON schemas are read with what they refer to", async () => {
  const registry = new Registry();
  const inner = { type: "record", name: "In", fields: [{ name: "x", type: "string" }] };
  const outer = { type: "record", name: "Out", fields: [{ name: "r", type: "In" }] };
  const avro = registry.register("AVRO", outer, [{ name: "In", schema: JSON.stringify(inner) }]);
  const point = { type: "object", properties: { y: { type: "integer" } } };
  const schema = { type: "object", properties: { p: { $ref: "point.json" } } };
  const json = registry.register("JSON", schema, [{ name: "point.json", schema: JSON.stringify(point) }]);
  const settings = tableSettings("schema-id", { metadataColumns: [] });
  const values = [withSchemaId(avro, Uint8Array.of(4, 104, 105)), withSchemaId(json, utf8('{"p":{"y":7}}'))];
  const { result } = await translateAll(inlineTranslator(registry), settings, [
    rangeOf(values.map((value) => ({ value }))),
  ]);
  expect(await rowsOf(result.files)).toMatchObject([
    { r: { x: "hi" }, p: undefined },
    { r: undefined, p: { y: 7n } },
  ]);
});

describe("values without a prefix, of the latest schema", () => {
  const record = (type: string) => ({ type: "record", name: "R", fields: [{ name: "a", type }] });
  const settings = tableSettings("schema-id", {
    metadataColumns: [],
    value: { decode: "schema-id", subject: null, onTypeChange: "dead-letter", latest: { message: null } },
  });

  test.each(["inline", "pool"])("Avro, asked for once a round (%s)", async (kind) => {
    const registry = new Registry();
    registry.register("AVRO", record("string"));
    const latest = registry.register("AVRO", record("long"));
    const asked: string[] = [];
    const latestId = async (subject: string): Promise<number> => asked.push(subject) && latest;
    const options = { limits: roundLimits, schemaById: registry.schemaById, latestId };
    const { clock } = systemRuntime();
    await using translator: Translator =
      kind === "inline" ? new InlineTranslator(options) : new PoolTranslator({ ...options, clock, workers: 1 });
    const range = rangeOf([{ value: Uint8Array.of(14) }, { value: Uint8Array.of(0, 0, 0, 0, 1, 14) }]);
    const { result } = await translateAll(translator, settings, [range, { ...range, from: 2, to: 2 }]);
    expect(await valuesNamed(result.files, "a")).toEqual([7n]);
    expect(result.deadLetters).toBe(1);
    expect(new Set(asked)).toEqual(new Set(["orders-value"]));
  });

  test("Protobuf of the message that the settings name", async () => {
    const registry = new Registry();
    const schema = 'syntax = "proto3"; package p; message A { int32 a = 1; message In { string s = 1; } }';
    const latest = registry.register("PROTOBUF", schema);
    const options = { limits: roundLimits, schemaById: registry.schemaById, latestId: async () => latest };
    await using translator = new InlineTranslator(options);
    const range = rangeOf([{ value: Uint8Array.of(10, 1, 120) }]);
    const named = { ...settings, value: { ...settings.value, latest: { message: "p.A.In" } } };
    const { result } = await translateAll(translator, named, [range]);
    expect(await valuesNamed(result.files, "s")).toEqual(["x"]);
  });

  test("a subject without a schema fails the add, and nothing is lost", async () => {
    await using translator = new InlineTranslator({
      limits: roundLimits,
      schemaById: async () => undefined,
      latestId: async () => undefined,
    });
    const range = rangeOf([{ value: Uint8Array.of(14) }]);
    await expect(translateAll(translator, settings, [range])).rejects.toThrow("no schema of subject orders-value");
  });

  async function valuesNamed(files: readonly { readonly bytes: Uint8Array }[], name: string) {
    return (await rowsOf(files)).map((row) => row[name]);
  }
});

/** Proves: manifests and manifest lists say what we mean, byte for byte where readers look, and strangers' bytes are refused. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AvroField, AvroRecord } from "../../../schemas/iceberg.ts";
import { CorruptData } from "../../../src/base/errors.ts";
import { readAvroFile, writeAvroFile } from "../../../src/table/iceberg/avro-file.ts";
import { serializeValue } from "../../../src/table/iceberg/bounds.ts";
import { addedFile, type ManifestEntry, readManifest, writeManifest } from "../../../src/table/iceberg/manifest.ts";
import { newManifestFile, readManifestList, writeManifestList } from "../../../src/table/iceberg/manifest-list.ts";
import type {
  DataFile,
  PartitionSpec,
  PrimitiveType,
  PrimitiveValue,
  Schema,
} from "../../../src/table/iceberg/types.ts";

const types: readonly PrimitiveType[] = [
  "long",
  "string",
  "date",
  "timestamptz",
  "decimal(9, 2)",
  "uuid",
  "binary",
  "boolean",
  "decimal(9, 2)",
];
const values: readonly PrimitiveValue[] = [
  2n ** 62n,
  "Ünï\u{1F600}",
  -1,
  -5n,
  -12345n,
  Uint8Array.from({ length: 16 }, (_, index) => index),
  Uint8Array.of(0, 255),
  true,
  99n,
];
const schema: Schema = {
  type: "struct",
  "schema-id": 4,
  fields: types.map((type, index) => ({ id: index + 1, name: `c ${index}`, required: false, type })),
};
const spec: PartitionSpec = {
  "spec-id": 2,
  fields: types.map((_, index) => ({
    "source-id": index + 1,
    "field-id": 1000 + index,
    name: `${index} c-é`,
    transform: "identity",
  })),
};
const table = { schema, specs: [spec] };

function dataFile(partition: readonly (PrimitiveValue | null)[], path = "s3://b/t/data/1.parquet"): DataFile {
  return {
    path,
    format: "PARQUET",
    partition,
    recordCount: 3,
    bytes: 2 ** 40,
    columnSizes: new Map([[1, 10]]),
    valueCounts: new Map([[1, 3]]),
    nullValueCounts: new Map([[1, 0]]),
    nanValueCounts: new Map(),
    lowerBounds: new Map([[1, serializeValue("long", 1n)]]),
    upperBounds: new Map([[1, serializeValue("long", 2n ** 62n)]]),
    splitOffsets: [4, 2 ** 33],
  };
}

describe("a manifest", () => {
  const entry = addedFile(dataFile(values));
  const nulls = addedFile(
    dataFile(
      values.map(() => null),
      "s3://b/t/data/2.parquet",
    ),
  );
  const bytes = writeManifest({ schema, spec, content: "data", entries: [entry, nulls] });

  test("comes back as it was written, partition values of every type included", async () => {
    const read = await readManifest(bytes, "test", table);
    expect(read).toMatchObject({ schema, specId: 2, content: "data", entries: [entry, nulls] });
  });

  test("C1: the file's metadata", async () => {
    const { metadata } = await readAvroFile(bytes, "test");
    expect(Object.fromEntries(metadata)).toMatchObject({
      "schema-id": "4",
      "partition-spec-id": "2",
      "format-version": "2",
      content: "data",
      "avro.codec": "deflate",
    });
    expect(JSON.parse(metadata.get("partition-spec") ?? "")).toEqual(spec.fields);
    expect(JSON.parse(metadata.get("schema") ?? "")).toEqual(schema);
  });

  test("C2-C5: names, field ids and optionality", async () => {
    const written = (await readAvroFile(bytes, "test")).schema as AvroRecord;
    expect([written.name, ...written.fields.map(({ name, "field-id": id }) => `${name}:${id}`)]).toEqual([
      "manifest_entry",
      "status:0",
      "snapshot_id:1",
      "sequence_number:3",
      "file_sequence_number:4",
      "data_file:2",
    ]);
    const file = written.fields[4]?.type as AvroRecord;
    const expected =
      "content:134 file_path:100 file_format:101 partition:102 record_count:103 file_size_in_bytes:104 column_sizes:108 value_counts:109 null_value_counts:110 nan_value_counts:137 lower_bounds:125 upper_bounds:128 key_metadata:131 split_offsets:132 equality_ids:135 sort_order_id:140 referenced_data_file:143";
    expect([file.name, file.fields.map(({ name, "field-id": id }) => `${name}:${id}`).join(" ")]).toEqual([
      "r2",
      expected,
    ]);
    const isOptional = ({ type, default: missing }: AvroField) =>
      Array.isArray(type) && type[0] === "null" && missing === null;
    expect(
      file.fields
        .filter((field) => !isOptional(field))
        .map(({ name }) => name)
        .join(" "),
    ).toBe("content file_path file_format partition record_count file_size_in_bytes");
    expect(JSON.stringify(file)).toContain('"name":"k117_v118"');
    const partition = file.fields[3]?.type as AvroRecord;
    expect(partition.name).toBe("r102");
    expect(partition.fields[1]).toMatchObject({
      name: "_1_x20c_x2D_xE9",
      "iceberg-field-name": "1 c-é",
      "field-id": 1001,
    });
  });

  test("C6: a day is an Avro date", () => {
    const day: PartitionSpec = {
      "spec-id": 0,
      fields: [{ "source-id": 4, "field-id": 1000, name: "d", transform: "day" }],
    };
    const text = Buffer.from(writeManifest({ schema, spec: day, content: "data", entries: [] })).toString("latin1");
    expect(text).toContain('{"type":"int","logicalType":"date"}');
  });

  test("C7: added entries inherit, others say their numbers", async () => {
    const existing: ManifestEntry = {
      ...entry,
      status: "existing",
      snapshotId: 2n ** 62n + 1n,
      sequenceNumber: 3,
      fileSequenceNumber: 3,
    };
    const read = await readManifest(
      writeManifest({ schema, spec, content: "data", entries: [entry, existing] }),
      "test",
      table,
    );
    expect(read.entries.map(({ status, snapshotId, sequenceNumber }) => [status, snapshotId, sequenceNumber])).toEqual([
      ["added", null, null],
      ["existing", 2n ** 62n + 1n, 3],
    ]);
  });

  test("is the same bytes for the same entries", () => {
    expect(writeManifest({ schema, spec, content: "data", entries: [entry, nulls] })).toEqual(bytes);
  });

  test("with any byte changed or cut is read, or refused as corrupt", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), fc.boolean(), async (at, value, cut) => {
        const changed = cut ? bytes.slice(0, at) : Uint8Array.from(bytes);
        if (!cut) changed[at] = value;
        try {
          await readManifest(changed, "test", table);
        } catch (cause) {
          expect(cause).toBeInstanceOf(CorruptData);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("Avro files", () => {
  test("many values go into blocks, and come back in order", async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => ({ value: index, text: `text ${index}` }));
    const fields = [
      { name: "value", type: "long" },
      { name: "text", type: "string" },
    ];
    const bytes = writeAvroFile({ type: "record", name: "r", fields }, many, new Map([["x", "y"]]));
    expect((await readAvroFile(bytes, "test")).values).toEqual(many);
  });

  test("a block cannot claim more values than it has bytes", async () => {
    const bytes = Buffer.from(writeAvroFile({ type: "record", name: "r", fields: [] }, [{}], new Map()));
    // The block is: count, size, two bytes of deflated nothing, sync. Its count becomes 2^13.
    const at = bytes.length - 16 - 2 - 1 - 1;
    const claimed = Buffer.concat([bytes.subarray(0, at), Buffer.of(0x80, 0x80, 0x01), bytes.subarray(at + 1)]);
    await expect(readAvroFile(claimed, "test")).rejects.toThrow(CorruptData);
  });
});

describe("format version 3", () => {
  test("C4: row ids and the places of deletion vectors come back, and stand where the reference has them", async () => {
    const data: ManifestEntry = { ...addedFile(dataFile(values)), firstRowId: 2 ** 40 };
    const vector: ManifestEntry = {
      ...addedFile(dataFile(values, "s3://b/t/data/1.puffin")),
      content: "position-deletes",
      referencedDataFile: "s3://b/t/data/1.parquet",
      vector: { offset: 4, bytes: 2 ** 33 },
    };
    const bytes = writeManifest({ schema, spec, content: "data", entries: [data, vector], version: 3 });
    expect((await readManifest(bytes, "test", table)).entries).toEqual([data, vector]);
    const { metadata, schema: written } = await readAvroFile(bytes, "test");
    expect(metadata.get("format-version")).toBe("3");
    const file = (written as AvroRecord).fields[4]?.type as AvroRecord;
    const last = file.fields.slice(-5).map(({ name, "field-id": id }) => `${name}:${id}`);
    expect(last.join(" ")).toBe(
      "sort_order_id:140 first_row_id:142 referenced_data_file:143 content_offset:144 content_size_in_bytes:145",
    );
  });

  test("D1: a manifest list says where ids of rows begin", async () => {
    const spec0 = { "spec-id": 0, fields: [] };
    const options = { path: "p", bytes: 1, spec: spec0, schema, entries: [], snapshotId: 1n, sequenceNumber: 1 };
    const manifests = [{ ...newManifestFile(options), firstRowId: 70 }];
    const bytes = writeManifestList({
      snapshotId: 1n,
      parentSnapshotId: null,
      sequenceNumber: 1,
      manifests,
      firstRowId: 70,
    });
    expect(await readManifestList(bytes, "test")).toEqual(manifests);
    const { metadata, schema: written } = await readAvroFile(bytes, "test");
    expect(Object.fromEntries(metadata)).toMatchObject({ "format-version": "3", "first-row-id": "70" });
    expect((written as AvroRecord).fields.at(-1)).toMatchObject({ name: "first_row_id", "field-id": 520 });
  });
});

describe("a manifest list", () => {
  const entries = [
    addedFile(dataFile([5n, "b", ...values.slice(2)])),
    addedFile(dataFile([null, "\u{1F600}", ...values.slice(2)])),
    addedFile(dataFile([-7n, "\uFFFD", ...values.slice(2)])),
  ];
  const added = newManifestFile({
    path: "s3://b/m.avro",
    bytes: 77,
    spec,
    schema,
    entries,
    snapshotId: 2n ** 62n,
    sequenceNumber: 9,
  });
  const bytes = writeManifestList({
    snapshotId: 2n ** 62n,
    parentSnapshotId: null,
    sequenceNumber: 9,
    manifests: [added],
  });

  test("comes back as it was written", async () => {
    expect(await readManifestList(bytes, "test")).toEqual([added]);
  });

  test("D1, D2: names, ids, requiredness and metadata", async () => {
    const file = await readAvroFile(bytes, "test");
    const written = file.schema as AvroRecord;
    expect(written.fields.map(({ name, "field-id": id }) => `${name}:${id}`).join(" ")).toBe(
      "manifest_path:500 manifest_length:501 partition_spec_id:502 content:517 sequence_number:515 min_sequence_number:516 added_snapshot_id:503 added_files_count:504 existing_files_count:505 deleted_files_count:506 added_rows_count:512 existing_rows_count:513 deleted_rows_count:514 partitions:507 key_metadata:519",
    );
    expect(written.fields.filter(({ type }) => Array.isArray(type)).map(({ name }) => name)).toEqual([
      "partitions",
      "key_metadata",
    ]);
    expect(Object.fromEntries(file.metadata)).toMatchObject({
      "snapshot-id": String(2n ** 62n),
      "parent-snapshot-id": "null",
      "sequence-number": "9",
      "format-version": "2",
    });
  });

  test("D4, D5: counts, least sequence, and one summary a partition field", () => {
    expect(added).toMatchObject({
      files: { added: 3, existing: 0, deleted: 0 },
      rows: { added: 9 },
      minSequenceNumber: 9,
      sequenceNumber: 9,
    });
    expect(added.partitions).toHaveLength(spec.fields.length);
    const [number, text] = added.partitions ?? [];
    expect(number).toEqual({
      containsNull: true,
      containsNan: false,
      lowerBound: serializeValue("long", -7n),
      upperBound: serializeValue("long", 5n),
    });
    // By code point: U+FFFD is below U+1F600, though not in UTF-16.
    expect(text).toMatchObject({ containsNull: false, upperBound: serializeValue("string", "\u{1F600}") });
  });

  test("D7: an unpartitioned table's summaries are an empty list", () => {
    const none = newManifestFile({
      path: "p",
      bytes: 1,
      spec: { "spec-id": 0, fields: [] },
      schema,
      entries: [],
      snapshotId: 1n,
      sequenceNumber: 1,
    });
    expect(none.partitions).toEqual([]);
  });
  test("B5 of zeros the one with a sign is the least", () => {
    const field = { "source-id": 1, "field-id": 1000, name: "d", transform: "identity" } as const;
    const doubles: Schema = {
      type: "struct",
      "schema-id": 0,
      fields: [{ id: 1, name: "d", required: false, type: "double" }],
    };
    const options = { path: "s3://b/m.avro", bytes: 1, snapshotId: 1n, sequenceNumber: 1 };
    for (const partitions of [
      [0, -0, Number.NaN],
      [-0, 0],
      [-0, -0, 0],
    ]) {
      const entries = partitions.map((partition) => addedFile(dataFile([partition])));
      const [found] =
        newManifestFile({ ...options, schema: doubles, spec: { "spec-id": 0, fields: [field] }, entries }).partitions ??
        [];
      expect([found?.lowerBound, found?.upperBound]).toEqual([
        serializeValue("double", -0),
        serializeValue("double", 0),
      ]);
    }
  });
});

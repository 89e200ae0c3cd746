/** Proves: memory that was somebody else's before goes nowhere: what is written or sent is the same, whatever lay there. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { joined } from "../src/base/bytes.ts";
import type { Message } from "../src/base/codec.ts";
import { CorruptData } from "../src/base/errors.ts";
import type { Offset, StreamId } from "../src/base/ids.ts";
import { Slabs } from "../src/base/slabs.ts";
import { openObjectStore } from "../src/object-store/open.ts";
import { apiNames, apis } from "../src/protocol/api-table.ts";
import { encodeRequest } from "../src/protocol/frame.ts";
import { compressions } from "../src/protocol/record-batch.ts";
import { buildBatch } from "../src/protocol/records.ts";
import { FrameAssembler } from "../src/server/frame-assembler.ts";
import { frameMemory } from "../src/server/frame-memory.ts";
import { encodeGroup } from "../src/stream/wal-format.ts";
import { AvroWriter } from "../src/table/iceberg/avro-value.ts";
import { arbitraryMessage } from "./base/message-arbitrary.ts";
import { startBucketServer } from "./support/bucket-server.ts";
import { checkout } from "./support/processes.ts";
import { storeDeps } from "./support/store-deps.ts";

afterEach(() => vi.restoreAllMocks());

/** Every buffer that nobody has written begins as this byte. */
async function poisoned<T>(poison: number, work: () => T | Promise<T>): Promise<T> {
  for (const name of ["allocUnsafe", "allocUnsafeSlow"] as const)
    vi.spyOn(Buffer, name).mockImplementation((size) => Buffer.alloc(size, poison));
  try {
    return await work();
  } finally {
    vi.restoreAllMocks();
  }
}

async function isTheSame(write: () => Uint8Array | Promise<Uint8Array>): Promise<void> {
  const one = await poisoned(0xaa, write);
  const other = await poisoned(0x55, write);
  expect(Buffer.from(one).toString("hex")).toBe(Buffer.from(other).toString("hex"));
}

test("memory that is not zeroed is asked for in these files alone, of which the tests below make use", () => {
  const files = readdirSync(join(checkout, "src"), { recursive: true, encoding: "utf8" });
  const asking = files.filter(
    (name) => name.endsWith(".ts") && /allocUnsafe/.test(readFileSync(join(checkout, "src", name), "utf8")),
  );
  expect(asking.sort()).toEqual([
    "base/bytes.ts",
    "base/slabs.ts",
    "object-store/body.ts",
    "object-store/local.ts",
    "object-store/s3.ts",
    "server/frame-memory.ts",
    "stream/file-wal.ts", // What it reads there has a checksum.
    "stream/wal-format.ts",
    "table/iceberg/avro-value.ts",
  ]);
});

test.each(apiNames)("answers and requests of %s", async (api) => {
  for (const side of ["request", "response"] as const) {
    const message = apis[api][side] as Message<unknown>;
    for (const version of new Set(message.versions)) {
      const [value] = fc.sample(arbitraryMessage(message.shape, version), { numRuns: 1, seed: version + 1 });
      await isTheSame(() => message.encode(value, version));
      if (side === "request")
        await isTheSame(() => joined(encodeRequest({ api, version, correlationId: 1, clientId: "c" }, value as never)));
    }
  }
});

test.each(compressions)("record batches, %s", async (compression) => {
  const records = [1, 2, 3].map((timestamp) => ({ timestamp, key: Buffer.from("k"), value: Buffer.alloc(999, "v") }));
  await isTheSame(() => buildBatch({ records, compression }));
});

test("a copy in a slab is as long as what was copied", async () => {
  await isTheSame(() => new Slabs().copy(Buffer.from("some bytes")));
});

test.each([
  ["Produce", "0000"],
  ["Metadata", "0003"],
])("a frame of %s that comes in pieces is what has come", async (_, key) => {
  const frame = Buffer.concat([Buffer.from(key, "hex"), Buffer.alloc(200_000, "f")]);
  const length = Buffer.alloc(4);
  length.writeInt32BE(frame.length);
  const write = (): Uint8Array => {
    const assembler = new FrameAssembler({ frameBytesMax: 1_000_000, memory: frameMemory(new Slabs()) });
    for (const piece of [length, frame.subarray(0, 9), frame.subarray(9, 70_000), frame.subarray(70_000, -1)]) {
      assembler.push(piece);
      expect(assembler.next()).toBeUndefined();
    }
    assembler.push(frame.subarray(-1));
    return assembler.next() ?? new Uint8Array();
  };
  expect(frame.equals(await poisoned(0xaa, write))).toBe(true);
  await isTheSame(write);
});

test("a group of the WAL, which an object may be made of", async () => {
  const link = { walId: 1, epoch: 2, seq: 3, position: 4096, durable: 0, trimmed: 0, previousCrc: 5 };
  const records = ["some", "", "bytes"].map((text, index) => ({
    stream: index as StreamId,
    epoch: 1,
    after: 0 as Offset,
    from: 0 as Offset,
    to: 1 as Offset,
    maxTimestamp: -1,
    bytes: Buffer.from(text),
  }));
  await isTheSame(() => joined(encodeGroup(link, records).views));
});

test("what a manifest of a table is made of", async () => {
  await isTheSame(() => {
    const writer = new AvroWriter();
    writer.long(-1n);
    writer.float(0.5, 4);
    writer.float(0.5, 8);
    writer.bytes(Buffer.alloc(5_000, "b")); // More than the writer begins with.
    writer.byte(7);
    return writer.take();
  });
});

describe("objects", () => {
  test("one of several views is sent to a bucket in one piece", async () => {
    await isTheSame(async () => {
      await using server = await startBucketServer({ bucket: "lake", dialect: "s3" });
      const place = new URLSearchParams({
        endpoint: server.endpoint,
        pathStyle: "true",
        accessKey: "a",
        secretKey: "b",
      });
      await using store = await openObjectStore(`s3://lake/p?${place.toString()}`, storeDeps());
      await store.put("k", [Buffer.from("some "), Buffer.from("bytes")]);
      return await store.get("k");
    });
  });

  test("one that ends before the range does is no range of it", async () => {
    const directory = mkdtempSync(join(tmpdir(), "inlet-uninitialised-"));
    try {
      await using store = await openObjectStore(pathToFileURL(directory).href, storeDeps());
      await store.put("k", Buffer.from("some bytes"));
      await expect(store.get("k", { start: 5, end: 20 })).rejects.toThrow(CorruptData);
      await isTheSame(() => store.get("k", { start: 5, end: 10 }));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

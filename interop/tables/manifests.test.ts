/**
 * Proves: the Avro schemas inside Inlet's manifests and lists of manifests are, to the byte, those that Iceberg's Java library writes for
 * the same table: ids, names, requiredness, logical maps, partition types (rules C1 to C6, D1). Only the `doc`s are left out, which
 * would make up a third of a small manifest. What the files say beside is equal too.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AvroFile, readAvroFile } from "../../src/table/iceberg/avro-file.ts";
import { type InletBroker, startInlet } from "../../test/support/inlet-process.ts";
import { runJava } from "../java.ts";
import { icebergRestServer } from "../tools.ts";
import { commit, frameOf } from "./topics.ts";
import { encoderOf } from "./type-encoders.ts";

/** Every type that a partition may have, and every transform. */
const fields = [
  { name: "id", type: "int" },
  { name: "big", type: "long" },
  { name: "is_it", type: "boolean" },
  { name: "text", type: "string" },
  { name: "raw", type: "bytes" },
  { name: "uid", type: { type: "string", logicalType: "uuid" } },
  { name: "five", type: { type: "fixed", name: "Five", size: 5 } },
  { name: "amount", type: { type: "bytes", logicalType: "decimal", precision: 20, scale: 3 } },
  { name: "day", type: { type: "int", logicalType: "date" } },
  { name: "clock", type: { type: "long", logicalType: "time-micros" } },
  { name: "at", type: { type: "long", logicalType: "timestamp-micros" } },
  { name: "local", type: { type: "long", logicalType: "local-timestamp-micros" } },
];
const record = {
  id: 1,
  big: 2n,
  is_it: true,
  text: "text",
  raw: Buffer.from([1]),
  uid: "f79c3e09-677c-4bbd-a479-3f349cb785e7",
  five: Buffer.alloc(5, 1),
  amount: Buffer.from([1]),
  day: 1,
  clock: 1n,
  at: 1n,
  local: 1n,
};
const layouts = {
  plain: [],
  identity: fields.map(({ name }) => name).filter((name) => name !== "five"),
  buckets: ["id", "big", "text", "raw", "uid", "five", "amount", "day", "clock", "at", "local"].map(
    (name) => `bucket(4, ${name})`,
  ),
  truncated: ["id", "big", "text", "raw", "amount"].map((name) => `truncate(3, ${name})`),
  days: ["year(day)", "month(at)", "day(local)", "hour(at)", "day(day)"],
} as const;

const directory = mkdtempSync(join(tmpdir(), "inlet-manifests-"));
let broker: InletBroker;

type Files = { readonly list: string; readonly manifests: readonly string[] };
let files: Readonly<Record<string, { readonly ours: Files; readonly java: Files }>>;
/** The tables that Java can say all of. */
const compared = [...Object.keys(layouts), "changed", "identity_v3", "changed_v3"];

beforeAll(async () => {
  const topic = (name: string, more: object) => ({
    table: { catalog: "main", name: `lake.${name}`, format_version: name.endsWith("_v3") ? 3 : 2 },
    value: { decode: "schema-id" },
    maintain: { compact: "off" },
    ...more,
  });
  const appended = Object.entries(layouts).map(([name, by]) => [name, topic(name, { layout: { partition_by: by } })]);
  const mode = { write: "upsert", key: ["id"], tombstone: "ignore" };
  const more = {
    fixed: topic("fixed", { layout: { partition_by: ["five"] } }),
    changed: topic("changed", { mode }),
    changed_v3: topic("changed_v3", { mode }),
    identity_v3: topic("identity_v3", { layout: { partition_by: layouts.identity } }),
  };
  broker = await startInlet({
    directory,
    name: "inlet-manifests",
    config: {
      lake: { catalogs: { main: { type: "embedded" } } },
      topics: { ...Object.fromEntries(appended), ...more },
    },
  });
  for (const name of [...compared, "fixed"]) await produce(name);
  files = await javaWrites(compared);
});

/** Has Java write to tables; where its manifests lie, and Inlet's. */
async function javaWrites(names: readonly string[]): Promise<typeof files> {
  const output = await runJava({
    classPath: join(await icebergRestServer(), "*"),
    main: join(import.meta.dirname, "AppendAndDelete.java"),
    args: [broker.catalog, "main", "lake", ...names],
  });
  const line = output.split("\n").find((one) => one.startsWith("ANSWER "));
  if (line === undefined) throw new Error(`no answer: ${output.slice(-2000)}`);
  return JSON.parse(line.slice("ANSWER ".length));
}

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function produce(topic: string): Promise<void> {
  const text = JSON.stringify({ type: "record", name: "All", fields });
  const frame = await frameOf(broker, topic, { schema: { schemaType: "AVRO", schema: text } });
  const value = Buffer.concat([frame, encoderOf("Avro", { type: "AVRO", text })(record)]);
  const producer = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR }).producer();
  await producer.connect();
  await producer.send({ topic, acks: -1, messages: [{ key: "k", value }] });
  await producer.disconnect();
  await commit(broker, topic);
}

async function avro(location: string): Promise<AvroFile> {
  return await readAvroFile(readFileSync(fileURLToPath(location)), location);
}

/** Its schema as it stands in the file, without what is for people. */
const schemaOf = ({ metadata }: AvroFile): string =>
  (metadata.get("avro.schema") ?? "").replaceAll(/"doc":"[^"]*",/g, "");

/** The rest of what the file says of itself. Java leaves out `schema-id`, which the format wants beside these. */
function saying({ metadata }: AvroFile): Readonly<Record<string, unknown>> {
  const names = ["schema", "partition-spec", "partition-spec-id", "format-version", "content"];
  const isJson = (name: string): boolean => name === "schema" || name === "partition-spec";
  return Object.fromEntries(
    names.map((name) => [name, isJson(name) ? JSON.parse(metadata.get(name) ?? "") : metadata.get(name)]),
  );
}

describe.each(compared)("%s", (name) => {
  test("manifests", async () => {
    const [ours, java] = await Promise.all(
      (["ours", "java"] as const).map((side) => Promise.all((files[name]?.[side].manifests ?? []).map(avro))),
    );
    const contents = name.startsWith("changed") ? ["data", "deletes"] : ["data"];
    for (const content of contents) {
      const [mine, theirs] = [ours, java].map((all) =>
        all?.find(({ metadata }) => metadata.get("content") === content),
      );
      if (mine === undefined || theirs === undefined)
        throw new Error(`${name} has no manifest of ${content} to compare`);
      expect(schemaOf(mine)).toBe(schemaOf(theirs));
      expect(saying(mine)).toEqual(saying(theirs));
      expect(mine.metadata.get("schema-id")).toBe(String(JSON.parse(theirs.metadata.get("schema") ?? "")["schema-id"]));
    }
  });

  test("the list of manifests", async () => {
    const [mine, theirs] = await Promise.all(
      (["ours", "java"] as const).map((side) => avro(files[name]?.[side].list ?? "")),
    );
    expect(schemaOf(mine as AvroFile)).toBe(schemaOf(theirs as AvroFile));
    const keys = ["format-version", "parent-snapshot-id", "sequence-number", "snapshot-id"];
    expect([...(mine as AvroFile).metadata.keys()]).toEqual(expect.arrayContaining(keys));
    expect([...(theirs as AvroFile).metadata.keys()]).toEqual(expect.arrayContaining(keys));
  });
});

test("a partition of a fixed type as it is, Java reads as bytes of some length: what it writes itself it cannot read either", async () => {
  await expect(javaWrites(["fixed"])).rejects.toThrow(/Malformed data\. Length is negative/);
});

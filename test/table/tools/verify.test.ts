/** Proves: verify is satisfied with a table that holds what was translated, whoever rewrote it, and finds each way in which it may not. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Compactor } from "../../../src/table/compactor.ts";
import type { ManifestEntry } from "../../../src/table/iceberg/manifest.ts";
import type { TableSettings } from "../../../src/table/settings.ts";
import type { VerifyReport } from "../../../src/table/tools/verify.ts";
import { replaceFiles, rewriteBySql } from "../../support/foreign-rewrite.ts";
import { Lake } from "../../support/lake.ts";
import { verifyReport } from "../../support/verified.ts";
import { tableSettings, utf8 } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const json = (value: unknown) => ({ value: utf8(JSON.stringify(value)) });

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-verify-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function verify(lake: Lake, compactor: Compactor, settings: TableSettings): Promise<VerifyReport> {
  return await verifyReport(lake, compactor, { settings, directory });
}

/** 20 records in 2 partitions, one of them no JSON, in three commits. */
async function filled(seed: number, settings: TableSettings) {
  const lake = new Lake(seed);
  const topic = lake.topic("orders", 2);
  const { compactor } = lake.open([settings]);
  for (const commit of [0, 1, 2]) {
    const records = [1, 2, 3].map((each) => json({ id: commit * 10 + each, name: `n${each}`, tags: ["a", null] }));
    await lake.produce(topic, 0, records);
    await lake.produce(topic, 1, [...records, ...(commit === 1 ? [{ value: utf8("{not json") }] : [])]);
    if (commit === 2) await lake.produce(topic, 0, [json({ id: 30, later: true })]);
    await compactor.flush("orders");
  }
  return { lake, topic, compactor, settings };
}

const kinds = (report: VerifyReport) => report.findings.map(({ kind }) => kind);

describe("a table that holds its log", () => {
  const settings = tableSettings("json");

  test("is equal, with dead letters and a schema that grew; every row is proven", async () => {
    const { lake, compactor } = await filled(1, settings);
    const report = await verify(lake, compactor, settings);
    expect(report).toMatchObject({ verdict: "equal", rows: 19, rowsProven: 19, findings: [] });
    expect(report.ranges.map(({ partition, from, to, others }) => [partition, from, to, others])).toEqual([
      [0, 0, 3, 0],
      [0, 3, 6, 0],
      [0, 6, 9, 0], // The last record asked for another column: a round of its own.
      [0, 9, 10, 0],
      [1, 0, 3, 0],
      [1, 3, 7, 1],
      [1, 7, 10, 0],
    ]);
    expect(report.deadLetters).toMatchObject({ verdict: "equal", rows: 1, rowsProven: 1 });
    await compactor[Symbol.asyncDispose]();
  });

  test("is equal when the log is gone, after a crash, and when others rewrote its files and went on", async () => {
    const { lake, compactor, topic } = await filled(2, settings);
    for (const partition of [0, 1])
      lake.partition(topic, partition).logStart = lake.partition(topic, partition).lastStable;
    await compactor[Symbol.asyncDispose]();
    const again = lake.open([settings]).compactor;
    await rewriteBySql(lake, "SELECT * FROM $rows ORDER BY id DESC", { directory });
    expect(await verify(lake, again, settings)).toMatchObject({ verdict: "equal", files: 1, rowsProven: 19 });
    await lake.produce(topic, 0, [json({ id: 99 })]);
    await again.flush("orders");
    expect(await verify(lake, again, settings)).toMatchObject({ verdict: "equal", files: 2, rowsProven: 20 });
    await again[Symbol.asyncDispose]();
  });

  test("with skipped records and partitions is equal too", async () => {
    const skip = tableSettings("json", {
      errors: { policy: "skip", deadLetterTable: "" },
      partitionBy: [{ column: "_kafka_offset", transform: "bucket[3]" }],
    });
    const { lake, compactor } = await filled(3, skip);
    expect(await verify(lake, compactor, skip)).toMatchObject({ verdict: "equal", rowsProven: 19, deadLetters: null });
    await compactor[Symbol.asyncDispose]();
  });

  test("of which nothing was kept is unproven, not different", async () => {
    const { lake, compactor } = await filled(4, settings);
    const keys: string[] = [];
    for await (const { key } of lake.store.list("tables/")) keys.push(key);
    await lake.store.delete(keys);
    expect(await verify(lake, compactor, settings)).toMatchObject({ verdict: "unproven", rows: 19, rowsProven: 0 });
    await compactor[Symbol.asyncDispose]();
  });
});

describe("what is wrong is found, and where", () => {
  const settings = tableSettings("json");
  const cases: readonly (readonly [string, string, object])[] = [
    [
      "a lost row",
      "SELECT * FROM $rows WHERE NOT (_kafka_partition = 0 AND _kafka_offset = 4)",
      { kind: "lost", where: "partition 0 offsets 3 to 5", sample: ["0:4"] },
    ],
    [
      "a doubled row",
      "SELECT * FROM $rows UNION ALL SELECT * FROM $rows WHERE _kafka_partition = 1 AND _kafka_offset = 8",
      { kind: "doubled", where: "partition 1 offsets 7 to 9", sample: ["1:8"] },
    ],
    [
      "an altered value",
      "SELECT * REPLACE (CASE WHEN id = 12 AND _kafka_partition = 0 THEN 13 ELSE id END AS id) FROM $rows",
      {
        kind: "altered",
        where: "partition 0 offsets 3 to 5",
        detail: "column id has other values than translation wrote",
      },
    ],
    [
      "an altered item of a list",
      "SELECT * REPLACE (CASE WHEN id = 12 AND _kafka_partition = 0 THEN ['a', 'b'] ELSE tags END AS tags) FROM $rows",
      { kind: "altered", detail: "column tags.list.element has other values than translation wrote" },
    ],
    [
      "a value that was nulled",
      "SELECT * REPLACE (CASE WHEN id = 30 THEN NULL ELSE later END AS later) FROM $rows",
      { kind: "altered", where: "partition 0 offsets 9 to 9" },
    ],
    [
      "a row of nobody",
      "SELECT * FROM $rows UNION ALL SELECT * REPLACE (77 AS _kafka_offset) FROM $rows WHERE _kafka_offset = 0",
      { kind: "foreign", sample: ["0:77", "1:77"] },
    ],
    [
      "a row in place of another",
      "SELECT * REPLACE (CASE WHEN _kafka_offset = 4 THEN 5 ELSE _kafka_offset END AS _kafka_offset) FROM $rows WHERE _kafka_partition = 0",
      { kind: "doubled", sample: ["0:5"] },
    ],
    [
      "a row where there was a dead letter",
      "SELECT * REPLACE (CASE WHEN _kafka_partition = 1 AND _kafka_offset = 3 THEN 6 ELSE _kafka_offset END AS _kafka_offset) FROM $rows",
      { kind: "lost", where: "partition 1 offsets 3 to 6" },
    ],
  ];
  test.each(cases)("%s", async (_name, sql, finding) => {
    const { lake, compactor } = await filled(5, settings);
    await rewriteBySql(lake, `SELECT * FROM (${sql}) ORDER BY _kafka_offset, _kafka_partition`, { directory });
    const report = await verify(lake, compactor, settings);
    expect(report.verdict).toBe("different");
    expect(report.findings).toEqual(expect.arrayContaining([expect.objectContaining(finding)]));
    await compactor[Symbol.asyncDispose]();
  });

  test("a file that is listed twice, one that is gone, one whose count is wrong", async () => {
    const { lake, compactor } = await filled(6, settings);
    const files = await lake.files(orders);
    const [first, second, ...others] = files as [ManifestEntry, ManifestEntry];
    await replaceFiles(lake, orders, [...files, first]);
    expect(kinds(await verify(lake, compactor, settings))).toEqual(["path-twice"]);
    const miscounted = { ...second, file: { ...second.file, recordCount: second.file.recordCount + 1 } };
    await replaceFiles(lake, orders, [first, miscounted, ...others]);
    expect(kinds(await verify(lake, compactor, settings))).toEqual(["miscounted"]);
    await lake.warehouse.remove([first.file.path]);
    expect(kinds(await verify(lake, compactor, settings))).toEqual(
      expect.arrayContaining(["file-unreadable", "lost", "miscounted"]),
    );
    await compactor[Symbol.asyncDispose]();
  });
});

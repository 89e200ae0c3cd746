/** Proves: a day in fast time loses nothing, however short; and what its picture shows is what was sampled. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { metadataBytesLimit, runDay } from "../../bench/day.ts";
import { type DaySample, drawDay, sampleColumns } from "../../bench/day-picture.ts";

test("a quarter of an hour of three tables, with all that befalls a day", { timeout: 180_000 }, async () => {
  const out = mkdtempSync(join(tmpdir(), "inlet-day-test-"));
  const said: string[] = [];
  try {
    const log = (line: string): void => void said.push(line);
    const report = await runDay({ minutes: 0.3, hours: 0.25, tables: 3, out, log });
    expect(report.records).toBeGreaterThan(0);
    expect(report.rows).toBe(report.records);
    expect(report.metadataBytesMax).toBeLessThan(metadataBytesLimit);
    expect(said.filter((line) => /^(restart|kill|outage)/.test(line))).toHaveLength(7);
    const [head, ...lines] = readFileSync(join(out, "day.csv"), "utf8").trim().split("\n");
    expect(head).toBe(sampleColumns.join());
    expect(lines).toHaveLength(report.samples.length);
    expect(readFileSync(join(out, "day.svg"), "utf8")).toContain("</svg>");
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});

test("the picture says the greatest of each figure, and leaves out what nobody could be asked for", () => {
  const sample = (hour: number, more: Partial<DaySample>): DaySample => ({
    ...(Object.fromEntries(sampleColumns.map((column) => [column, 0])) as DaySample),
    hour,
    ...more,
  });
  const samples = [
    sample(1, { dataFilesMax: 7, residentMib: 200 }),
    sample(2, { brokerIsAway: 1, residentMib: 900 }),
    sample(3, { catalogIsAway: 1, lagRecords: 5000 }),
  ];
  const picture = drawDay("three hours", samples);
  expect(picture).toContain("live data files of the table that has most: at most 7.0");
  expect(picture).toContain("memory of the broker, MiB: at most 200");
  expect(picture).toContain("thousands: at most 5.0");
  expect(picture.match(/fill="#f3b0b0"/g)).toHaveLength(6);
  expect(picture.match(/fill="#ddd"/g)).toHaveLength(6);
});

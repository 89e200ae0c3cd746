/** Proves: examples/flights does what it says: Avro through the registry becomes a table that answers as the source does. */
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { openExample } from "../support/example.ts";
import { checkout } from "../support/processes.ts";

const records = 20_000;

test("the flights that were produced are the flights that SQL sees", { timeout: 120_000 }, async () => {
  await using example = await openExample("flights");
  const { registry } = example.broker.addresses;
  expect(await example.produce("--registry", registry, "--records", String(records))).toBe(records);
  expect(await example.query()).toEqual(await queryOfSource());
});

/** The example's query over the file that its producer reads. */
async function queryOfSource(): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const source = join(checkout, "node_modules/vega-datasets/data/flights-3m.parquet");
  const duckdb = await (await DuckDBInstance.create()).connect();
  const answer = await duckdb.runAndReadAll(
    `SELECT origin, count(*) AS flights, round(avg(delay), 1) AS delay
     FROM (SELECT * FROM read_parquet('${source}') LIMIT ${records})
     GROUP BY origin ORDER BY flights DESC, origin LIMIT 10`,
  );
  expect(answer.currentRowCount).toBe(10);
  return answer.getRowObjectsJson();
}

/** Proves: the SQL that reads a table as of an offset shows no less than the table held then. */
import { expect, test } from "vitest";
import type { TableSettings } from "../src/table/settings.ts";
import { answerAt } from "../src/table-at.ts";
import { Lake } from "./support/lake.ts";
import { tableSettings, utf8 } from "./table/translate-fixtures.ts";

/** Two records of one key in one commit, and as of the first. */
async function asOfFirst(settings: TableSettings) {
  const lake = new Lake(1);
  const topicId = lake.topic("orders", 1);
  const { compactor, metadata } = lake.open([settings]);
  const values = [1, 2].map((v) => ({ key: utf8("a"), value: utf8(JSON.stringify({ v })) }));
  await lake.produce(topicId, 0, values);
  await compactor.flush("orders");
  const [info] = [...metadata.image.tables()];
  if (info === undefined) throw new Error("there is no table");
  const answer = await answerAt(
    { settings, info, catalog: lake.foreign() },
    { offset: "0:0", timestamp: null },
    { log: lake.log, topic: metadata.image.topic(topicId), warehouse: lake.warehouse },
  );
  await compactor[Symbol.asyncDispose]();
  return answer;
}

test("of a table of records, what came later is left out", async () => {
  expect(await asOfFirst(tableSettings("json"))).toMatchObject({
    kind: "ok",
    detail: { isExact: true, sql: { trino: expect.stringContaining('WHERE NOT ("_kafka_partition" = 0') } },
  });
});

test("of a table with a key it cannot be: the row that it took the place of would be missing, and that is said", async () => {
  const { mode } = tableSettings("json");
  const keyed = tableSettings("json", { key: { decode: "string" }, mode: { ...mode, write: "upsert" } });
  expect(await asOfFirst(keyed)).toMatchObject({
    kind: "ok",
    detail: { isExact: false, sql: { trino: expect.not.stringContaining("WHERE") } },
  });
});

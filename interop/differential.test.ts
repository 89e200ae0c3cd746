/** Proves: a real Apache Kafka and Inlet answer the same generated requests, wrong ones too, alike but for what is listed. */
import { expect, test } from "vitest";
import { apis } from "../src/protocol/api-table.ts";
import { compareBrokers } from "./differential/differential.ts";
import { kafkaVersions } from "./differential/kafka-versions.ts";

const sequences = 300;
/** The same in every run, so that a red run is of what was changed; `npm run interop:differential` looks for new ones. */
const seed = 30_000;

test("generated sequences have the same answers", { timeout: 600_000 }, async () => {
  const report = await compareBrokers({ sequences, seed });
  expect(report.requests).toBeGreaterThan(sequences);
  expect(report.differences, `seed ${seed}`).toEqual([]);
  expect(report.missing, "versions of APIs that were not sent").toEqual([]);
  // The table of the page is what this Kafka says of itself.
  const said = [...report.kafkaVersions].map(([api, versions]) => [apis[api].key, ...versions]);
  const table = said.map(([key]) => [key, ...(kafkaVersions[key as number]?.slice(1) ?? [])]);
  expect(said).toEqual(table);
});

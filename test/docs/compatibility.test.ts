/** Proves: docs/compatibility.md is what the tables of the code say, and speaks of every API that is served. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderCompatibility } from "../../interop/differential/compatibility.ts";
import { kafkaVersions } from "../../interop/differential/kafka-versions.ts";
import { apiNames, apis } from "../../src/protocol/api-table.ts";
import { checkout } from "../support/processes.ts";

test("the page is rendered from the tables", () => {
  expect(readFileSync(join(checkout, "docs/compatibility.md"), "utf8")).toBe(renderCompatibility());
});

test("every API that Kafka has for clients is there in all its versions", () => {
  const served = new Map(apiNames.map((name) => [apis[name].key, apis[name].advertised]));
  const missing = Object.entries(kafkaVersions).filter(
    ([key, [, min, max]]) => served.get(Number(key))?.join() !== [min, max].join(),
  );
  expect(missing).toEqual([]);
});

test("no API has versions that Kafka does not have", () => {
  const beyond = apiNames.filter((name) => {
    const [, min, max] = kafkaVersions[apis[name].key] ?? ["", Number.POSITIVE_INFINITY, -1];
    return apis[name].advertised[0] < min || apis[name].advertised[1] > max;
  });
  expect(beyond).toEqual([]);
  expect(apiNames.length).toBeGreaterThan(20);
});

/**
 * Proves: librdkafka's own tests pass against this broker, in the classic and in the new group protocol, with its share consumers.
 * Here run those that are short; `npm run interop:librdkafka` runs every one that talks to a broker.
 */
import { expect, test } from "vitest";
import { brokerFacing, runTests } from "./librdkafka/suite.ts";

/** Each takes half a minute or more, by waiting; of those about groups some are run in the new protocol instead. */
const long = {
  classic: `0018 0026 0033 0045 0045-noautocreate 0055 0076 0077 0081 0089 0091 0093 0094 0102 0109 0113 0122 0127 0137 0170
    0172 0173 0174 0176 0177 0179 0180 0181 0184 0185`,
  consumer: `0033 0045 0055 0076 0077 0081 0089 0094 0109 0113 0127 0137`,
} as const;

test.each(["classic", "consumer"] as const)("the %s protocol", { timeout: 600_000 }, async (protocol) => {
  const left = new Set(long[protocol].split(/\s+/));
  const numbers = (await brokerFacing(protocol)).filter((number) => !left.has(number));
  const outcomes = await runTests(protocol, numbers, () => undefined);
  const passed = outcomes.flatMap((outcome) => outcome.passed);
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  console.log(`${protocol}: ${passed.length} passed, ${skipped.length} skipped`);
  const failed = outcomes.filter((outcome) => outcome.failed.length > 0 && outcome.excuse === undefined);
  expect(failed.map((outcome) => `${outcome.failed.join()}\n${outcome.output.slice(-3000)}`)).toEqual([]);
  expect(passed.length).toBeGreaterThan(50);
});

/** Proves that texts become the times of a day, and no others. */
import { expect, test } from "vitest";
import { parseDateTime, parseTime } from "../../../src/table/decode/time-text.ts";

test("a leap second is the first of the next minute, but no time of a day that it ends", () => {
  expect(parseDateTime("2016-12-31T23:59:60Z")).toBe(parseDateTime("2017-01-01T00:00:00Z"));
  expect(parseTime("11:59:60")).toBe(parseTime("12:00:00"));
  expect(parseTime("23:59:59.9999999")).toBe(86_399_999_999n);
  expect(parseTime("23:59:60")).toBeUndefined();
});

/** Proves: whatever expression a member sends, matching takes time linear in the names, in slices, and a wrong one is said to be. */
import { describe, expect, test } from "vitest";
import { TopicPatterns } from "../../src/coordinator/topic-patterns.ts";
import { SimClock } from "../sim/clock.ts";

/** What holds an engine that goes back over what it has tried, on the names that hold it longest. */
const corpus = [
  "(a+)+$",
  "([a-zA-Z]+)*$",
  "(a|aa)+$",
  "(a|a?)+$",
  "(.*a){12}$",
  "((a+)+)+$",
  "^(([a-z])+.)+[A-Z]([a-z])+$",
  "(x+x+)+y",
  "(.*)*.*=.*",
  "a{0,500}a{0,500}$",
] as const;

function patterns(names: readonly string[]): TopicPatterns {
  const topics = { version: 1, byName: () => undefined, nameOf: () => undefined, names: () => names.values() };
  return new TopicPatterns({ topics, clock: new SimClock() });
}

describe("an expression that holds other engines for years", () => {
  test.each(corpus)("%s is matched at once", async (expression) => {
    const names = Array.from({ length: 50 }, (_, index) => `${"a".repeat(240)}${index}!`);
    const before = performance.now();
    await patterns(names).matches([expression]);
    expect(performance.now() - before).toBeLessThan(5_000); // Of 2^240 steps nothing would be left to measure.
  });
});

test.each(["(", "a{2,1}", "[z-a]", "(?<=a)b", "(a)\\1", "a{100000}"])("%s is none, and said to be", (expression) => {
  expect(patterns([]).problem(expression)).toEqual(expect.any(String));
});

// Compiled, the first takes gigabytes, and the second seconds for each name.
test.each([["x{1000}", 4000] as const, [String.raw`\pL{1000}`, 100] as const])(
  "%s, %i times, is none, and said to be at once",
  (part, times) => {
    const before = performance.now();
    expect(patterns([]).problem(part.repeat(times))).toContain("expression too large");
    expect(performance.now() - before).toBeLessThan(5_000);
  },
);

test("a name is matched as a whole, and a newline hides nothing of it", async () => {
  const found = await patterns(["a", "ab", "xa", "a\nb"]).matches(["a", "a.*"]);
  expect(found.get("a")).toEqual(["a"]);
  expect(found.get("a.*")).toEqual(["a", "ab"]);
});

test.each([
  ["many steps", "a?".repeat(5_000)],
  ["few characters", "((ab?){0,30}c?){0,30}"],
  ["wide classes", `(?i)[${"\\pL".repeat(100)}]`],
  ["wide ranges", `(?i)[${"a-\\x{1e000}".repeat(100)}]`],
  ["many characters", "a".repeat(5_000)],
])("an expression of %s that would hold the event loop is refused", (_, expression) => {
  expect(patterns([]).problem(expression)).toEqual(expect.stringContaining("too large"));
});

test("others have their turns between the names of an expression that takes long for each", async () => {
  let now = 0;
  const clock = new SimClock();
  let turns = 0;
  const after = clock.after.bind(clock);
  Object.assign(clock, {
    monotonic: () => (now += 3),
    after: (delayMs: number, callback: () => void) => {
      turns += 1;
      queueMicrotask(callback);
      return after(delayMs, () => undefined);
    },
  });
  const names = Array.from({ length: 100 }, (_, index) => `a${index}`);
  const topics = { version: 1, byName: () => undefined, nameOf: () => undefined, names: () => names.values() };
  await new TopicPatterns({ topics, clock }).matches(["a.*"]);
  expect(turns).toBeGreaterThan(20);
});

test("so much is remembered and no more: an expression that was long not asked for is searched again", async () => {
  let searches = 0;
  const names = Array.from({ length: 100 }, (_, index) => `t${index}`);
  const topics = {
    version: 1,
    byName: () => undefined,
    nameOf: () => undefined,
    names: () => {
      searches += 1;
      return names.values();
    },
  };
  const few = new TopicPatterns({ topics, clock: new SimClock(), keptMax: 500 });
  for (const expression of ["t.*1", "t.*2", "t.*1", "t.*2"]) await few.matches([expression]);
  expect(searches).toBe(2);
  for (let at = 0; at < 50; at += 1) {
    await few.matches([`t.*|${at}`]);
    await few.matches(["t.*1"]); // In use all the time.
  }
  expect(searches).toBe(52);
  await few.matches(["t.*2"]);
  expect(searches).toBe(53);
});

/** Proves: log lines are JSON with levels, hold no secrets, and do not flood. */
import { describe, expect, test } from "vitest";
import { LogLevels } from "../../src/base/log-levels.ts";
import type { Clock } from "../../src/base/runtime.ts";
import { type LoggingOptions, openLogger } from "../../src/telemetry/logging.ts";

function capture(extra: Partial<LoggingOptions> = {}) {
  const lines: Record<string, unknown>[] = [];
  let time = 1000;
  const clock: Clock = { now: () => time, monotonic: () => time, after: () => ({ [Symbol.dispose]: () => undefined }) };
  const logger = openLogger({
    levels: new LogLevels("info"),
    repeatsMax: 2,
    repeatsMs: 100,
    clock,
    destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    ...extra,
  });
  return { logger, lines, advance: (ms: number) => (time += ms) };
}

describe("lines", () => {
  test("carry level, time, message and the fields of every parent", () => {
    const { logger, lines } = capture();
    logger.child({ part: "wal" }).child({ node: 1 }).warn("slow sync", { ms: 12 });
    logger.debug("not at this level");
    expect(lines).toEqual([{ level: "warn", time: 1000, part: "wal", node: 1, ms: 12, message: "slow sync" }]);
  });

  test("are written from the level of their component on, which can change at any time", () => {
    const levels = new LogLevels("warn");
    const { logger, lines } = capture({ levels });
    const stream = logger.child({ component: "stream" });
    levels.set("stream", "debug");
    stream.debug("of the stream");
    logger.info("of nobody");
    levels.set("stream", undefined);
    stream.info("too late");
    levels.root = "fatal";
    logger.error("silenced");
    expect(lines.map(({ message }) => message)).toEqual(["of the stream"]);
  });

  test("hold no secrets, however deep, nor in URLs", () => {
    const { logger, lines } = capture();
    logger.info("start", {
      password: "hunter2",
      auth: { client_secret: "hunter2", user: "me", accessKeyId: "hunter2" },
      list: [new Map([["token", "hunter2"]])],
      url: "postgres://me:hunter2@db:5432/x?a=b",
      tokens: 3,
    });
    expect(JSON.stringify(lines)).not.toContain("hunter2");
    expect(lines[0]).toMatchObject({ auth: { user: "me" }, url: "postgres://me:********@db:5432/x?a=b", tokens: 3 });
  });

  test("hold no password that an @ is in, or that stands among a URL's parameters", () => {
    const { logger, lines } = capture();
    logger.info("start", {
      raw: "postgres://me:hunter@2@db:5432/x and postgres://me:hunter@2@db",
      parameter: "postgres://db/x?user=me&password=hunter@2&sslmode=require",
    });
    expect(JSON.stringify(lines)).not.toMatch(/hunter|@2/);
    expect(lines[0]).toMatchObject({ parameter: "postgres://db/x?user=me&password=********&sslmode=require" });
  });

  test("a name that somebody made up is looked through in linear time, and fills no line", () => {
    const { logger, lines } = capture();
    const before = performance.now();
    logger.warn("authentication failed", { name: "a.".repeat(100_000) });
    expect(performance.now() - before).toBeLessThan(10_000);
    expect(JSON.stringify(lines).length).toBeLessThan(40_000);
  });

  test("errors come with their causes; bytes, bigints and deep trees stay small", () => {
    const { logger, lines } = capture();
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    logger.error("failed", {
      error: new Error("outer", { cause: new Error("inner") }),
      bytes: new Uint8Array(9),
      id: 1n,
      cyclic,
    });
    expect(lines[0]).toMatchObject({
      error: { message: "outer", cause: { message: "inner" } },
      bytes: "[9 bytes]",
      id: "1",
    });
  });
});

describe("repeats", () => {
  test("past the bound are held, and counted in the next line", () => {
    const { logger, lines, advance } = capture();
    for (let i = 0; i < 7; i++) logger.warn("again", { i });
    logger.warn("another");
    advance(100);
    logger.warn("again", { i: 7 });
    expect(lines.map(({ message, i, repeatsHeld }) => [message, i, repeatsHeld])).toEqual([
      ["again", 0, undefined],
      ["again", 1, undefined],
      ["another", undefined, undefined],
      ["again", 7, 5],
    ]);
  });

  test("of the audit log are all written", () => {
    const { logger, lines } = capture();
    const audit = logger.child({ log: "audit" });
    for (let i = 0; i < 50; i++) audit.warn("authentication failed", { i });
    expect(lines.map(({ i }) => i)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });
});

/** Proves: the topic, group and table commands do what they say against a running broker, and leave nothing behind. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Broker, openBroker } from "../../src/broker.ts";
import { readConfig } from "../../src/config.ts";
import { inletAt } from "../support/command.ts";

let directory: string;
let broker: Broker;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "inlet-cli-kafka-"));
  const listeners = "kafka: { port: 0 }\nregistry: { port: 0 }\ncatalog: { port: 0 }\nhttp: { port: 0 }\n";
  const text = `${listeners}data: { directory: ${JSON.stringify(directory)} }\nlogging: { level: silent }\ntopics: { lines: { value: { decode: string } } }\n`;
  broker = await openBroker(
    readConfig({ file: { name: "t", text }, environment: {}, flags: new Map(), readFile: () => undefined }),
  );
});
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const run = (args: readonly string[], input?: string) => inletAt(broker, args, input);

describe("against a broker", () => {
  test("a topic is created once, described with its configs, written, read, and deleted", async () => {
    expect(await run(["topic", "create", "t", "-p", "2", "-c", "retention.ms=1000"])).toMatchObject({
      code: 0,
      out: "TOPIC  STATUS\nt      OK\n",
    });
    expect(await run(["topic", "create", "t"])).toMatchObject({
      code: 1,
      error: expect.stringContaining("TOPIC_ALREADY_EXISTS"),
    });
    const wrote = await run(["topic", "produce", "t", "-p", "1", "-s", ":", "-H", "h=1"], "k:v\nplain\n");
    expect(wrote).toMatchObject({ code: 0, out: "Produced to partition 1 from offset 0.\n" });
    const more = await run(["--format", "json", "topic", "produce", "t", "-p", "1"], "again\n");
    expect(more.out).toBe('{"topic":"t","partition":1,"offset":2}\n');
    const described = JSON.parse((await run(["--format", "json", "topic", "describe", "t"])).out) as Record<
      string,
      unknown
    >;
    expect(described["partitions"]).toMatchObject([{ high_watermark: 0 }, { high_watermark: 3 }]);
    expect(described["configs"]).toContainEqual({ key: "retention.ms", value: "1000", source: "DYNAMIC_TOPIC_CONFIG" });
    const read = await run(["topic", "consume", "t", "-n", "3"]);
    expect(
      read.out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toMatchObject([
      { topic: "t", partition: 1, offset: 0, key: "k", value: "v" },
      { topic: "t", partition: 1, offset: 1, key: null, value: "plain" },
      { topic: "t", partition: 1, offset: 2, key: null, value: "again" },
    ]);
    expect((await run(["topic", "list"])).out).toMatch(/^NAME.*\nt +2 +1\n$/);
    expect((await run(["topic", "delete", "t"])).code).toBe(0);
    expect((await run(["topic", "describe", "t"])).code).toBe(4);
  });

  test("a group shows its lag and can be deleted; one made to read is gone", async () => {
    await run(["topic", "create", "g"]);
    await run(["topic", "produce", "g"], "a\nb\nc\n");
    await run(["topic", "consume", "g", "-n", "1"]);
    await run(["topic", "consume", "g", "-n", "3", "-g", "readers"]);
    const listed = JSON.parse((await run(["group", "list", "--format", "json"])).out) as { group: string }[];
    expect(listed.map(({ group }) => group)).toEqual(["readers"]);
    const described = JSON.parse((await run(["group", "describe", "readers", "--format", "json"])).out) as unknown;
    expect(described).toMatchObject({ offsets: [{ topic: "g", current_offset: 3, log_end_offset: 3, lag: 0 }] });
    expect((await run(["group", "delete", "readers"])).code).toBe(0);
    expect((await run(["group", "describe", "readers"])).code).toBe(4);
  });

  test("of several topics those are created that are not there", async () => {
    await run(["topic", "create", "old"]);
    expect(await run(["topic", "create", "old", "new"])).toMatchObject({
      code: 1,
      out: "TOPIC  STATUS\nold    EXISTS\nnew    OK\n",
      error: expect.stringContaining("TOPIC_ALREADY_EXISTS: old"),
    });
  });

  test("a table is listed and flushed", async () => {
    await run(["topic", "create", "lines"]);
    await run(["topic", "produce", "lines"], "one\ntwo\n");
    expect((await run(["table", "list"])).out).toContain("kafka.lines");
    expect(JSON.parse((await run(["table", "flush", "lines"])).out)).toMatchObject({ committedTo: { "0": 2 } });
    expect((await run(["table", "flush", "none"])).code).toBe(4);
  });
});

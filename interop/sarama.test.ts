/**
 * Proves: Sarama's functional tests pass against one broker behind their own proxies, which break connections: producers,
 * idempotent and transactional ones too, consumers, groups of every protocol of its, administration.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startInlet } from "../test/support/inlet-process.ts";
import { answers, freePort, start } from "../test/support/processes.ts";
import { goTestsNamed, runGoTests, saramaTests, toxiproxyProgram } from "./go.ts";

/** What they want besides. */
const leftOut = {
  TestFuncAdminListConsumerGroupOffsets: "stops a container",
  TestFuncTxnProduceWithBrokerFailure: "stops a container",
  TestFuncIdempotentBufferedSequence: "reads the logs of containers",
  TestFuncAdminDescribeLogDirs: "five brokers",
  TestFuncAdminAlterPartitionReassignments: "two brokers",
};

test("functional tests", { timeout: 900_000 }, async () => {
  const { program, source } = await saramaTests();
  const directory = mkdtempSync(join(tmpdir(), "inlet-sarama-"));
  try {
    const port = await freePort();
    const listeners = { open: { port, advertised_port: 9191 } };
    const group = { initial: { rebalance: { delay: { ms: 0 } } } };
    const topic = { auto: { create: false } };
    await using _broker = await startInlet({ directory, config: { listeners, group, topic } });
    const api = await freePort();
    await using _proxies = await start("toxiproxy", await toxiproxyProgram(), ["-port", String(api)], {
      ready: () => answers(`http://127.0.0.1:${api}/proxies`),
    });
    for (const index of [1, 2, 3, 4, 5]) {
      const proxy = {
        name: `kafka${index}`,
        listen: `127.0.0.1:919${index}`,
        upstream: `127.0.0.1:${port}`,
        enabled: true,
      };
      const answer = await fetch(`http://127.0.0.1:${api}/proxies`, { method: "POST", body: JSON.stringify(proxy) });
      expect(answer.status, await answer.text()).toBe(201);
    }
    const env = { TOXIPROXY_ADDR: `http://127.0.0.1:${api}`, KAFKA_VERSION: "4.3.1" };
    const skip = `^(${Object.keys(leftOut).join("|")})$`;
    const args = ["-test.timeout", "12m", "-test.run", "^TestFunc", "-test.skip", skip];
    const output = await runGoTests(program, args, { cwd: source, env, timeoutMs: 750_000 });
    const passed = goTestsNamed(output, "PASS");
    console.log(`${passed.length} passed, skipped by themselves: ${goTestsNamed(output, "SKIP").join(", ")}`);
    expect(passed.length).toBeGreaterThan(60);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

/** Proves: the tests of franz-go's kgo package pass against this broker, with connections that break under them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startInlet } from "../test/support/inlet-process.ts";
import { command, franzGoTests } from "./tools.ts";

/** What is not served here: SASL. Tests of newer group protocols see that by themselves. */
const notServed = "TestSCRAM";

test("kgo", { timeout: 900_000 }, async () => {
  const { program, source } = await franzGoTests();
  const directory = mkdtempSync(join(tmpdir(), "inlet-franz-go-"));
  try {
    await using broker = await startInlet({ directory });
    const env = {
      KGO_SEEDS: broker.bootstrap,
      KGO_TEST_RF: "1",
      KGO_TEST_RECORDS: "100000",
      KGO_TEST_CHAOS: "1",
      KGO_LOG_LEVEL: "none",
    };
    const args = ["-test.v", "-test.timeout", "14m", "-test.skip", notServed];
    const output = await command(program, args, { cwd: source, env, timeoutMs: 880_000 });
    const passed = Array.from(output.matchAll(/^\s*--- PASS: (\S+)/gm), ([, name]) => name);
    for (const group of ["range", "cooperative-sticky", "cooperative-sticky/static"]) {
      expect(passed).toContain(`TestGroupETL/${group}`);
      if (group !== "cooperative-sticky/static") expect(passed).toContain(`TestTxnEtl/${group}`);
    }
    expect(passed.length).toBeGreaterThan(100);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

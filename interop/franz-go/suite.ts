/** The tests of franz-go's kgo package, chaos included, against a broker of their own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startInlet } from "../../test/support/inlet-process.ts";
import { freePort } from "../../test/support/processes.ts";
import { franzGoTests, goTestsNamed, runGoTests } from "../go.ts";
import { kafkaTool } from "../kafka.ts";

export interface KgoOutcome {
  readonly passed: readonly string[];
  readonly skipped: readonly string[];
}

/** Rejects with what the tests said that failed. */
export async function runKgo(): Promise<KgoOutcome> {
  const { program, source } = await franzGoTests();
  const directory = mkdtempSync(join(tmpdir(), "inlet-franz-go-"));
  try {
    const [openPort, scramPort] = [await freePort(), await freePort()];
    const listeners = {
      open: { port: openPort },
      scram: { protocol: "SASL_PLAINTEXT", mechanisms: ["SCRAM-SHA-256"], port: scramPort },
    };
    await using _broker = await startInlet({ directory, config: { listeners } });
    const bootstrap = `127.0.0.1:${openPort}`;
    const change = "--alter --entity-type users --entity-name tester --add-config SCRAM-SHA-256=[password=secret]";
    await kafkaTool("kafka.admin.ConfigCommand", ["--bootstrap-server", bootstrap, ...change.split(" ")]);
    const env = {
      KGO_SEEDS: bootstrap,
      KGO_TEST_SCRAM_SEEDS: `127.0.0.1:${scramPort}`,
      KGO_TEST_SCRAM: "tester:secret",
      KGO_TEST_RF: "1",
      KGO_TEST_RECORDS: "100000",
      KGO_TEST_CHAOS: "1",
      KGO_LOG_LEVEL: "none",
    };
    const args = ["-test.timeout", "14m"];
    const output = await runGoTests(program, args, { cwd: source, env, timeoutMs: 880_000 });
    return { passed: goTestsNamed(output, "PASS"), skipped: goTestsNamed(output, "SKIP") };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

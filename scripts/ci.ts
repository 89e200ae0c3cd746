/**
 * Runs every suite, one after another, and counts what they report. Suites whose time is simulated, or not judged at all,
 * run beside the interop suites at the lowest priority: they use what the processors have left while servers start and
 * clients wait. What failed is told again at the end, for whoever sees no more than that; the last line is `N passed, N failed`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
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

const crashImages = (wal: string, images: number): Step => ({
  name: `crash images, WAL ${wal}`,
  command: ["node", "test/crash/wal-images.ts", "--wal", wal, "--images", String(images), "--seed", freshSeed],
});
const jepsen = (workload: string): Step => ({
  name: `jepsen, ${workload}`,
  command: ["node", "test/jepsen/main.ts", "--workload", workload, "--seconds", "60", "--seed", freshSeed],
});
/** They judge by the time that things take, take long, or want ports of their own: `npm run interop` runs them. */
const byHand = ["librdkafka-tests", "franz-go-tests", "kafka-go", "foreign-maintenance"].flatMap((name) => [
  "--exclude",
  `interop/${name}.test.ts`,
]);

const steps: readonly Step[] = [
  { name: "static checks", command: ["npm", "run", "check"] },
  vitest("tests"),
  {
    name: "kill -9, all kinds of WAL",
    command: ["node", "test/crash/kill-cycles.ts", "--cycles", "50", "--wal", "all", "--seed", freshSeed],
  },
  {
    name: "tables under fire",
    command: ["node", "test/crash/table-fire.ts", "--cycles", "100", "--seed", freshSeed],
  },
  jepsen("produce-consume"),
  jepsen("transactions"),
  jepsen("list-append"),
  jepsen("consume-transform-produce"),
  {
    name: "fuzzing",
    command: ["node", "test/fuzz/main.ts", "--frames", "2000000", "--jobs", "2", "--seed", freshSeed],
  },
  { name: "kill points", command: ["node", "test/crash/kill-points.ts", "--points", "40", "--seed", freshSeed] },
  { name: "power loss", command: ["node", "test/crash/power-loss.ts", "--cycles", "20", "--seed", freshSeed] },
  { name: "demo", command: ["npm", "run", "demo", "--", "--exit"] },
];
const stepsAside: readonly Step[] = [
  { name: "simulation", command: ["npm", "run", "sim", "--", "--seeds", "2000", "--jobs", "2", "--seed", freshSeed] },
  crashImages("file", 50_000),
  crashImages("object", 50_000),
  crashImages("directory", 20_000),
  crashImages("replicated", 20_000),
];
const interop = vitest("interop", "--config", "vitest.interop.config.ts", ...byHand);

/** Of a step that failed, this much of its output is told again. */
const outputTailChars = 6_000;

let passed = 0;
let failed = 0;
const failures: string[] = [];
await inTurn(steps, { aside: false });
await Promise.all([inTurn([interop], { aside: false }), inTurn(stepsAside, { aside: true })]);
for (const failure of failures) console.log(`\n=== FAILED: ${failure}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** Runs steps one after another; the output of those aside is shown when each has ended, not as it comes. */
async function inTurn(lane: readonly Step[], { aside }: { readonly aside: boolean }): Promise<void> {
  for (const step of lane) {
    const title = `\n=== ${step.name}: ${step.command.join(" ")}\n`;
    if (!aside) process.stdout.write(title);
    const startedMs = Date.now();
    const { ok, output } = aside
      ? await run(["nice", "-n", "19", ...step.command])
      : await run(step.command, (text) => process.stdout.write(text));
    if (aside) process.stdout.write(title + output);
    count(step, ok, output.slice(-outputTailChars));
    console.log(`=== ${step.name}: ${ok ? "ok" : "FAILED"} in ${((Date.now() - startedMs) / 1000).toFixed(0)} s`);
  }
}

function count(step: Step, ok: boolean, tail: string): void {
  const report = step.report === undefined ? undefined : readReport(step.report);
  passed += report?.passed ?? (ok ? 1 : 0);
  // A runner that exits badly without naming a failed test has failed all the same.
  failed += Math.max(report?.failures.length ?? 0, ok ? 0 : 1);
  if (report !== undefined && report.failures.length > 0)
    failures.push(...report.failures.map((failure) => `${step.name}: ${failure}`));
  else if (!ok) failures.push(`${step.name}, the end of its output:\n${tail}`);
}

/** Runs a command, handing on its output as it comes. */
async function run(
  [file, ...args]: readonly string[],
  show: (text: string) => void = () => {},
): Promise<{ readonly ok: boolean; readonly output: string }> {
  const child = spawn(file as string, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      show(text);
      output += text;
    });
  const [status] = (await once(child, "close")) as [number | null];
  return { ok: status === 0, output };
}

interface Report {
  readonly passed: number;
  /** A file that cannot be loaded, or a test, with what it said. */
  readonly failures: readonly string[];
}

function readReport(path: string): Report | undefined {
  try {
    const { numPassedTests, testResults } = JSON.parse(readFileSync(path, "utf8")) as VitestReport;
    const failures = testResults.flatMap(({ name, status, message, assertionResults }) => {
      const tests = assertionResults.filter((test) => test.status === "failed");
      if (tests.length === 0) return status === "failed" ? [`${name}\n${message}`] : [];
      return tests.map((test) => `${name} > ${test.fullName}\n${test.failureMessages.join("\n")}`);
    });
    return { passed: numPassedTests, failures };
  } catch {
    return undefined; // The runner died before it wrote its report; its exit status says so.
  }
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

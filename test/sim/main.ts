/**
 * Whole brokers in simulated worlds, one a seed, under everything that the nemesis knows; then the same with bugs planted,
 * which must be found.
 *
 *   npm run sim -- [--seeds 500] [--seed N] [--jobs 1] [--plant NAME | --mutants]
 *
 * Without --seed the seeds are fresh. `--seed N --seeds 1` shows again what a line of a failed run speaks of. Each job is a
 * process with a part of the seeds.
 */
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { runWorld, type WorldReport } from "./broker-world.ts";
import { type Plant, type PlantName, plants } from "./plants.ts";

/** A planted bug that this many worlds do not find is one that the simulation cannot find. */
const plantSeedsMax = 40;
const traceLines = 25;

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    plant: { type: "string" },
    jobs: { type: "string", default: "1" },
    mutants: { type: "boolean" },
    /** A part of another run, which looks for the planted bugs itself. */
    part: { type: "boolean", default: false },
  },
});

const unheard: string[] = [];
process.on("unhandledRejection", (cause) => void unheard.push(`nobody handled: ${String(cause)}`));

async function runSeed(seed: number, plant?: Plant): Promise<WorldReport> {
  const report = await runWorld(seed, plant);
  const broken = unheard.splice(0).map((detail) => ({ anomaly: "broken" as const, detail }));
  return { ...report, violations: [...report.violations, ...broken] };
}

function tell(report: WorldReport): void {
  const [first] = report.violations;
  console.log(`FAIL seed ${report.seed}: ${report.violations.length} violations, ${first?.anomaly}: ${first?.detail}`);
  for (const line of report.trace.slice(-traceLines)) console.log(`     ${line}`);
  console.log(`     again: npm run sim -- --seed ${report.seed} --seeds 1`);
}

/** The sums over all worlds. Returns the number of violations. */
async function runSeeds(base: number, seeds: number): Promise<number> {
  const began = performance.now();
  const sum = { violations: 0, simulatedMs: 0, lives: 0, acked: 0, polled: 0, tableRows: 0, cleaned: 0, failed: 0 };
  for (let index = 0; index < seeds; index += 1) {
    const report = await runSeed(base + index);
    for (const name of ["simulatedMs", "lives", "acked", "polled", "tableRows", "cleaned"] as const)
      sum[name] += report[name];
    sum.violations += report.violations.length;
    if (report.violations.length === 0) continue;
    sum.failed += 1;
    tell(report);
  }
  const seconds = (performance.now() - began) / 1000;
  const facts = [
    `${seeds} seeds from ${base}`,
    `${sum.violations} violations in ${sum.failed} worlds`,
    `${Math.round(sum.simulatedMs / 1000)} simulated seconds in ${seconds.toFixed(1)}`,
    `${sum.lives} lives`,
    `${sum.acked} batches acked`,
    `${sum.polled} records read`,
    `${sum.tableRows} table rows compared`,
    `${sum.cleaned} records cleaned away`,
  ];
  console.log(facts.join(", "));
  if (sum.acked === 0 || sum.polled === 0 || sum.tableRows === 0) {
    console.log("FAIL nothing happened in these worlds, so nothing was proved");
    return sum.violations + 1;
  }
  return sum.violations;
}

/** Side by side, each process its own part of the seeds. Whether all is well in all of them. */
async function runJobs(base: number, seeds: number, jobs: number): Promise<boolean> {
  const parts = Array.from({ length: jobs }, async (_, job) => {
    const [from, to] = [job, job + 1].map((at) => Math.floor((at * seeds) / jobs)) as [number, number];
    const args = [import.meta.filename, "--part", "--seed", String(base + from), "--seeds", String(to - from)];
    const [status] = (await once(spawn(process.execPath, args, { stdio: "inherit" }), "exit")) as [number | null];
    return status === 0;
  });
  return (await Promise.all(parts)).every(Boolean);
}

/** Whether the planted bug is found soon enough. */
async function isFound(name: PlantName, base: number): Promise<boolean> {
  for (let index = 0; index < plantSeedsMax; index += 1) {
    const [violation] = (await runSeed(base + index, plants[name])).violations;
    if (violation === undefined) continue;
    console.log(
      `planted ${name}: found in world ${index + 1}, ${violation.anomaly}: ${violation.detail.slice(0, 200)}`,
    );
    return true;
  }
  console.log(`FAIL planted ${name}: not found in ${plantSeedsMax} worlds`);
  return false;
}

async function areAllFound(base: number): Promise<boolean> {
  const names = Object.keys(plants) as PlantName[];
  let found = 0;
  for (const name of names) if (await isFound(name, base)) found += 1;
  console.log(`mutation score of the simulation: ${found}/${names.length}, each within ${plantSeedsMax} worlds`);
  return found === names.length;
}

async function main(): Promise<boolean> {
  const base = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  if (values.plant !== undefined) {
    if (!Object.hasOwn(plants, values.plant)) throw new Error(`plants: ${Object.keys(plants).join(", ")}`);
    return await isFound(values.plant as PlantName, base);
  }
  const [seeds, jobs] = [Number(values.seeds ?? 500), Number(values.jobs)];
  if (values.part) return (await runSeeds(base, seeds)) === 0;
  const isGood =
    values.mutants === true || (jobs > 1 ? await runJobs(base, seeds, jobs) : (await runSeeds(base, seeds)) === 0);
  return (await areAllFound(base)) && isGood;
}

process.exitCode = (await main()) ? 0 : 1;

/**
 * A real broker that is killed as it enters its k-th write, sync, rename, link or removal: strace counts the calls of each
 * thread and sends the signal. Then the next life, and at the end everything that was acked is looked for.
 *
 *   node test/crash/kill-points.ts [--points 500] [--seed N]
 *
 * Needs Linux and strace, which it installs with apt when it may; without it the run is skipped, and says why.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { SimRandom } from "../sim/random.ts";
import { endsWithin, killLife, runLives } from "./lives.ts";

/**
 * What Node's file operations become, and how far to count: strace counts for each thread of the pool alone, and syncs and
 * renames are few.
 */
const calls: readonly Counted[] = [
  { call: "pwritev", most: 12 },
  { call: "pwrite64", most: 6 },
  { call: "fdatasync", most: 3 },
  { call: "fsync", most: 3 },
  { call: "rename", most: 2 },
  { call: "link", most: 3 },
  { call: "unlink", most: 3 },
];
/** A life in which the call does not come so often is ended by a plain kill, and is no point. */
const lifeMsMax = 4000;

interface Counted {
  readonly call: string;
  readonly most: number;
}

/** A call that did not come so often is not waited for so long again; one that did not come at all is left out. */
function withoutMiss(known: readonly Counted[], call: string, when: number): readonly Counted[] {
  return known.map((each) => (each.call === call ? { call, most: when - 1 } : each)).filter(({ most }) => most > 0);
}

async function run(points: number, seed: number): Promise<boolean> {
  const random = new SimRandom(seed);
  const reached = new Map<string, number>();
  let done = 0;
  let missed = 0;
  let known = calls;
  const began = performance.now();
  const report = await runLives({
    seed,
    lives: async (start) => {
      while (done < points && known.length > 0) {
        const { call, most } = random.pick(known);
        const when = 1 + random.below(most);
        const inject = `inject=${call}:signal=KILL:when=${when}`;
        const life = start([
          "strace",
          "-f",
          "--seccomp-bpf",
          "-qq",
          "-o",
          "/dev/null",
          "-e",
          `trace=${call}`,
          "-e",
          inject,
        ]);
        if (await endsWithin(life, lifeMsMax)) {
          done += 1;
          reached.set(call, (reached.get(call) ?? 0) + 1);
        } else {
          missed += 1;
          known = withoutMiss(known, call, when);
        }
        await killLife(life);
        if (done > 0 && done % 25 === 0)
          console.log(`${done} of ${points} points, ${missed} lives in which the call did not come`);
      }
    },
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(JSON.stringify({ seed, points: done, reached: Object.fromEntries(reached), missed, seconds, ...report }));
  return report.violations.length === 0 && report.acked > 0 && done === points;
}

/** Why it cannot be run; undefined when it can. */
function obstacle(): string | undefined {
  if (process.platform !== "linux") return "strace is for Linux";
  if (spawnSync("strace", ["-V"]).status !== 0) spawnSync("apt-get", ["install", "-y", "strace"], { stdio: "ignore" });
  const tried = spawnSync("strace", ["-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=rename", "true"], {
    encoding: "utf8",
  });
  return tried.status === 0 ? undefined : `strace does not run here: ${tried.stderr || String(tried.error)}`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      points: { type: "string", default: "500" },
      seed: { type: "string", default: String(randomInt(1_000_000_000)) },
    },
  });
  const reason = obstacle();
  if (reason === undefined) process.exitCode = (await run(Number(values.points), Number(values.seed))) ? 0 : 1;
  else console.log(`skipped: ${reason}`);
}

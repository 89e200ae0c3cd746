/**
 * Feeds frames to a broker in memory and stops at the first that does what no frame may do.
 *
 *   node test/fuzz/main.ts [--frames 2000000] [--seed N] [--jobs 1]
 *
 * Each job is a process with its part of the frames, and a seed of its own, which it prints.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.ts";

const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "2000000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    jobs: { type: "string", default: "1" },
  },
});
const [frames, seed, jobs] = [Number(values.frames), Number(values.seed), Number(values.jobs)];
console.log(`seed ${seed}`);
if (jobs === 1) console.log(JSON.stringify(await fuzz({ frames, seed, log: console.log })));
else {
  // A broker's seed is the job's plus its number, so that jobs must be further apart than they have brokers.
  const running = Array.from({ length: jobs }, async (_, job) => {
    const part = ["--frames", String(Math.ceil(frames / jobs)), "--seed", String(seed + job * 1_000_000)];
    const child = spawn(process.execPath, [import.meta.filename, ...part], { stdio: "inherit" });
    const [status] = (await once(child, "exit")) as [number | null];
    return status;
  });
  if ((await Promise.all(running)).some((status) => status !== 0)) process.exitCode = 1;
}

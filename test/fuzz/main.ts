/**
 * Feeds frames to a broker in memory and stops at the first that does what no frame may do.
 *
 *   node test/fuzz/main.ts [--frames 2000000] [--seed N]
 */
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.ts";

const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "2000000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
console.log(`seed ${values.seed}`);
const report = await fuzz({ frames: Number(values.frames), seed: Number(values.seed), log: console.log });
console.log(JSON.stringify(report));

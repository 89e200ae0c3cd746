/** `npm run interop:differential -- [--sequences N] [--seed N]`: many generated sequences against a real Kafka and against Inlet. */
import { parseArgs } from "node:util";
import { compareBrokers } from "./differential.ts";

const { values } = parseArgs({
  options: {
    sequences: { type: "string", default: "2000" },
    seed: { type: "string", default: String(process.hrtime.bigint() % 1_000_000_000n) },
  },
});
const report = await compareBrokers({ sequences: Number(values.sequences), seed: Number(values.seed) });
process.exitCode = report.differences.length === 0 && report.requests > 0 ? 0 : 1;

/** `npm run interop:differential -- [--sequences N] [--seed N] [--theme NAME]`: many generated sequences against a real Kafka and against Inlet. */
import { parseArgs } from "node:util";
import { compareBrokers } from "./differential.ts";
import { themeNames } from "./sequence.ts";

const { values } = parseArgs({
  options: {
    sequences: { type: "string", default: "2000" },
    theme: { type: "string" },
    seed: { type: "string", default: String(process.hrtime.bigint() % 1_000_000_000n) },
  },
});
const theme = themeNames.find((name) => name === values.theme);
if (values.theme !== undefined && theme === undefined) throw new Error(`themes: ${themeNames.join(", ")}`);
const report = await compareBrokers({ sequences: Number(values.sequences), seed: Number(values.seed), theme });
process.exitCode = report.differences.length === 0 && report.requests > 0 ? 0 : 1;

/** `npm run interop:tables -- [--seed N] [--whole]`: the matrix of sources, modes, catalogs and engines, by pairs or every cell of it. */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(process.hrtime.bigint() % 1_000_000_000n) },
    whole: { type: "boolean", default: false },
  },
});
const env = { INLET_TABLES_SEED: values.seed, INLET_TABLES_WHOLE: values.whole ? "1" : "0" };
const result = spawnSync("vitest", ["run", "--config", "vitest.interop.config.ts", "interop/tables/"], {
  stdio: "inherit",
  env: { ...process.env, ...env },
});
process.exitCode = result.status ?? 1;

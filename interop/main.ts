/** `npm run interop [-- NAME...]`: all suites against real counterparts, or those whose file name holds NAME. */
import { spawnSync } from "node:child_process";

const result = spawnSync("vitest", ["run", "--config", "vitest.interop.config.ts", ...process.argv.slice(2)], {
  stdio: "inherit",
});
process.exitCode = result.status ?? 1;

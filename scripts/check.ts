/** All static checks, in the order in which they are cheapest to fail. Exits non-zero when one fails. */
import { spawnSync } from "node:child_process";

const checks: readonly (readonly [name: string, ...command: readonly string[]])[] = [
  ["format", "biome", "check", "--error-on-warnings", "."],
  ["types", "tsc", "--noEmit"],
  ["lint", "oxlint", "--type-aware", "--quiet"],
  ["dead code", "knip", "--no-progress"],
];

let failed = 0;
for (const [name, command, ...args] of checks) {
  const result = spawnSync(command as string, args, { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
  const passed = result.status === 0;
  console.log(`${passed ? "ok  " : "FAIL"} ${name}`);
  if (!passed) {
    failed += 1;
    console.log(`${result.stdout}${result.stderr}${result.error?.message ?? ""}`);
  }
}
process.exitCode = failed === 0 ? 0 : 1;

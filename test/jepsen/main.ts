/**
 * A Jepsen-style run against a real broker process with kills, pauses and cut networks.
 *
 *   node test/jepsen/main.ts --workload produce-consume|transactions|list-append|consume-transform-produce
 *     [--seconds 60] [--seed N] [--wal file|object|replicated] [--transactions 1|2]
 */
import { parseArgs } from "node:util";
import { type RunOptions, run } from "./run.ts";
import { type WorkloadName, workloads } from "./workloads.ts";

const { values } = parseArgs({
  options: {
    workload: { type: "string", default: "produce-consume" },
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    wal: { type: "string", default: "file" },
    transactions: { type: "string", default: "2" },
  },
});
if (!Object.hasOwn(workloads, values.workload)) {
  throw new Error(`no workload ${values.workload}; there are ${Object.keys(workloads).join(", ")}`);
}
console.log(`seed ${values.seed}`);
const report = await run({
  workload: values.workload as WorkloadName,
  seconds: Number(values.seconds),
  seed: Number(values.seed),
  wal: values.wal as NonNullable<RunOptions["wal"]>,
  transactionVersion: values.transactions === "1" ? 1 : 2,
  log: console.log,
});
const { violations, ...rest } = report;
for (const { anomaly, detail } of violations.slice(0, 30)) console.log(`${anomaly}: ${detail}`);
console.log(JSON.stringify({ ...rest, violations: violations.length }));
process.exitCode = violations.length === 0 && report.acked > 0 ? 0 : 1;

/**
 * `npm run interop:librdkafka [-- [--kafka] [--protocol classic|consumer] [--outputs DIRECTORY] NUMBER...]`: every test of librdkafka's
 * that talks to a broker, in both group protocols. Prints each outcome, and at the end what failed with the end of its output; all of
 * every output goes to the directory. With --kafka the broker is a real Kafka.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { brokerFacing, leftOut, type Outcome, type Protocol, runTests } from "./suite.ts";

const { values, positionals: given } = parseArgs({
  options: { kafka: { type: "boolean" }, protocol: { type: "string" }, outputs: { type: "string" } },
  allowPositionals: true,
});
const protocols = (["classic", "consumer"] satisfies Protocol[]).filter((protocol) => {
  return values.protocol === undefined || values.protocol === protocol;
});
const server = values.kafka === true ? "kafka" : "inlet";
const keep = ({ protocol, number, output }: Outcome, note: string): void => {
  if (values.outputs === undefined) return;
  mkdirSync(values.outputs, { recursive: true });
  writeFileSync(join(values.outputs, `${protocol}-${number}${note === "alone" ? "-alone" : ""}.log`), output);
};

const outcomes: Outcome[] = [];
for (const protocol of protocols) {
  const numbers = (await brokerFacing(protocol)).filter((number) => given.length === 0 || given.includes(number));
  const startedMs = Date.now();
  const tell = (outcome: Outcome, note: string): void => {
    const { number, passed, skipped, failed } = outcome;
    keep(outcome, note);
    const parts = [
      ...passed.map((test) => `${test} passed`),
      ...skipped.map(({ test, why }) => `${test} skipped: ${why}`),
      ...failed.map((what) => `FAILED ${what}`),
    ];
    const seconds = Math.round((Date.now() - startedMs) / 1000);
    console.log(`${protocol} ${number} at ${seconds} s ${note}: ${parts.join("; ")}`);
  };
  outcomes.push(...(await runTests(protocol, numbers, tell, server)));
}

const count = (pick: (outcome: Outcome) => readonly unknown[]): number =>
  outcomes.reduce((sum, outcome) => sum + pick(outcome).length, 0);
const excused = outcomes.filter(({ excuse }) => excuse !== undefined);
const failures = outcomes.filter(({ failed, excuse }) => failed.length > 0 && excuse === undefined);
for (const [number, why] of Object.entries(leftOut)) console.log(`left out ${number}: ${why}`);
for (const { protocol, number, excuse } of excused) console.log(`excused ${protocol} ${number}: ${excuse}`);
for (const { protocol, number, output } of failures) console.log(`\n=== ${protocol} ${number}\n${output.slice(-3000)}`);
const skipped = count((outcome) => outcome.skipped) + Object.keys(leftOut).length + excused.length;
console.log(`${count((outcome) => outcome.passed)} passed, ${failures.length} failed, ${skipped} skipped`);
process.exitCode = failures.length === 0 && outcomes.length > 0 ? 0 : 1;

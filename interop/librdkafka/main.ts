/**
 * `npm run interop:librdkafka [-- NUMBER...]`: every test of librdkafka's that talks to a broker, in both group protocols. Prints each
 * outcome, and at the end what failed with the end of its output.
 */
import { brokerFacing, leftOut, mayFail, type Outcome, runTests } from "./suite.ts";

const outcomes: Outcome[] = [];
const given = process.argv.slice(2);
for (const protocol of ["classic", "consumer"] as const) {
  const numbers = (await brokerFacing(protocol)).filter((number) => given.length === 0 || given.includes(number));
  const startedMs = Date.now();
  const tell = ({ number, passed, skipped, failed }: Outcome, note: string): void => {
    const parts = [
      ...passed.map((test) => `${test} passed`),
      ...skipped.map(({ test, why }) => `${test} skipped: ${why}`),
      ...failed.map((what) => `FAILED ${what}`),
    ];
    const seconds = Math.round((Date.now() - startedMs) / 1000);
    console.log(`${protocol} ${number} at ${seconds} s ${note}: ${parts.join("; ")}`);
  };
  outcomes.push(...(await runTests(protocol, numbers, tell)));
}

const count = (pick: (outcome: Outcome) => readonly unknown[]): number =>
  outcomes.reduce((sum, outcome) => sum + pick(outcome).length, 0);
const excused = outcomes.filter(({ number, failed }) => failed.length > 0 && mayFail[number] !== undefined);
const failures = outcomes.filter(({ number, failed }) => failed.length > 0 && mayFail[number] === undefined);
for (const [number, why] of Object.entries(leftOut)) console.log(`left out ${number}: ${why}`);
for (const { number } of excused) console.log(`excused ${number}: ${mayFail[number]}`);
for (const { protocol, number, output } of failures) console.log(`\n=== ${protocol} ${number}\n${output.slice(-3000)}`);
const skipped = count((outcome) => outcome.skipped) + Object.keys(leftOut).length + excused.length;
console.log(`${count((outcome) => outcome.passed)} passed, ${failures.length} failed, ${skipped} skipped`);
process.exitCode = failures.length === 0 && outcomes.length > 0 ? 0 : 1;

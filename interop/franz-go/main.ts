/** `npm run interop:franz-go [-- TIMES]`: franz-go's own tests so many times in a row, three unless it is said; each on a new broker. */
import { runKgo } from "./suite.ts";

const times = Number(process.argv[2] ?? 3);
for (let time = 1; time <= times; time += 1) {
  const startedMs = Date.now();
  const { passed, skipped } = await runKgo();
  const seconds = Math.round((Date.now() - startedMs) / 1000);
  console.log(`run ${time} of ${times}: ${passed.length} passed, 0 failed, ${skipped.length} skipped in ${seconds} s`);
  if (skipped.length > 0) console.log(`skipped: ${skipped.join(", ")}`);
}

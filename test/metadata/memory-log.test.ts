/** Proves: a log in memory obeys the contract, alone and behind a network that loses answers. */
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { calmLog, FaultyCasLog } from "../sim/cas-log.ts";
import { SimClock } from "../sim/clock.ts";
import { SimRandom } from "../sim/random.ts";
import { casLogContract } from "./cas-log-contract.ts";

casLogContract("memory", async () => {
  const log = new MemoryLog();
  return { open: async () => log, run: (work) => work, dispose: async () => {} };
});

for (const seed of [1, 2, 3]) {
  casLogContract(`memory behind a storm of lost answers, seed ${seed}`, async () => {
    const clock = new SimClock();
    const random = new SimRandom(seed);
    const faults = { ...calmLog, unheard: 0.4 };
    const log = new FaultyCasLog(new MemoryLog(), { clock, random, faults });
    return { open: async () => log, run: (work) => clock.until(work), dispose: async () => {} };
  });
}

/** Proves: a log in memory obeys the contract, alone and behind a network that loses answers. */
import { systemRuntime } from "../../src/base/runtime.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { calmLog, FaultyCasLog } from "../sim/cas-log.ts";
import { SimClock } from "../sim/clock.ts";
import { SimRandom } from "../sim/random.ts";
import { casLogContract } from "./cas-log-contract.ts";
import { forwarding } from "./contract/forwarding.ts";

casLogContract("memory", async () => {
  let log = new MemoryLog();
  return {
    open: async () => forwarding(() => log),
    restart: async (handle) => handle,
    backUp: async () => {
      const copy = log.copy();
      return async () => {
        log = copy;
      };
    },
    runtime: systemRuntime(),
    run: (work) => work,
    dispose: async () => {},
  };
});

for (const seed of [1, 2, 3]) {
  const setUp = async () => {
    const clock = new SimClock();
    const random = new SimRandom(seed);
    const faults = { ...calmLog, unheard: 0.4 };
    const log = new FaultyCasLog(new MemoryLog(), { clock, random, faults });
    return {
      open: async () => log,
      restart: async () => log,
      runtime: { clock, random },
      run: <T>(work: Promise<T>) => clock.until(work),
      dispose: async () => {},
    };
  };
  casLogContract(`memory behind a storm of lost answers, seed ${seed}`, setUp, { canGoBack: false });
}

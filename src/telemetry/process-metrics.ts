/** What the process itself tells: memory, processor time, and how late the event loop runs. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock } from "../base/runtime.ts";
import type { MetricRegistry } from "./metrics.ts";
import type { metricsTable } from "./metrics-table.ts";

/** Long enough that two scrapers, each at its own pace, do not hide a maximum from one another. */
const windowMs = 60_000;
const quantiles = [0.5, 0.99, 0.999] as const;

/** Shows the process in the registry until disposed of. */
export function openProcessMetrics(registry: MetricRegistry<typeof metricsTable>, clock: Clock): Disposable {
  const delays = monitorEventLoopDelay({ resolution: 10 }); // Milliseconds between its samples.
  delays.enable();
  let windowStart = clock.monotonic();
  const collector = registry.collect(
    ["cpuSeconds"],
    ({ eventLoopDelaySeconds, residentBytes, heapUsedBytes, externalBytes, cpuSeconds }) => {
      for (const quantile of quantiles)
        eventLoopDelaySeconds.set(delays.percentile(quantile * 100) / 1e9, { quantile: String(quantile) });
      eventLoopDelaySeconds.set(delays.max / 1e9, { quantile: "1" });
      if (clock.monotonic() - windowStart > windowMs) {
        delays.reset();
        windowStart = clock.monotonic();
      }
      const memory = process.memoryUsage();
      residentBytes.set(memory.rss);
      heapUsedBytes.set(memory.heapUsed);
      externalBytes.set(memory.external + memory.arrayBuffers);
      const { user, system } = process.cpuUsage();
      cpuSeconds.add((user + system) / 1e6);
    },
  );
  return {
    [Symbol.dispose]() {
      collector[Symbol.dispose]();
      delays.disable();
    },
  };
}

/** What the process itself tells: memory, processor time, and how late the event loop runs. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock } from "../base/runtime.ts";
import type { MetricRegistry } from "./metrics.ts";
import type { metricsTable } from "./metrics-table.ts";

/** Long enough that two scrapers, each at its own pace, do not hide a maximum from one another. */
const windowMs = 60_000;
const quantiles = [0.5, 0.99, 0.999] as const;
/** Between two looks at the event loop. */
const resolutionMs = 10;

/** Shows the process in the registry until disposed of. */
export function openProcessMetrics(registry: MetricRegistry<typeof metricsTable>, clock: Clock): Disposable {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  // Its samples are the times between two looks: what is beyond the resolution is the delay.
  const seconds = (sampleNs: number): number => Math.max(0, sampleNs / 1e9 - resolutionMs / 1000);
  delays.enable();
  let windowStart = clock.monotonic();
  const collector = registry.collect(
    ["cpuSeconds"],
    ({ eventLoopDelaySeconds, residentBytes, heapUsedBytes, externalBytes, cpuSeconds }) => {
      for (const quantile of quantiles)
        eventLoopDelaySeconds.set(seconds(delays.percentile(quantile * 100)), { quantile: String(quantile) });
      eventLoopDelaySeconds.set(seconds(delays.max), { quantile: "1" });
      if (clock.monotonic() - windowStart > windowMs) {
        delays.reset();
        windowStart = clock.monotonic();
      }
      const memory = process.memoryUsage();
      residentBytes.set(memory.rss);
      heapUsedBytes.set(memory.heapUsed);
      externalBytes.set(memory.external); // The bytes of ArrayBuffers are in it.
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

/** What a store over the network is opened with in tests: this machine's clock, one attempt, no patience. */
import { systemRuntime } from "../../src/base/runtime.ts";
import { systemDisk } from "../../src/base/system-disk.ts";
import type { ObjectStoreDeps } from "../../src/object-store/open.ts";

export function storeDeps(
  limits: { readonly attemptsMax?: number; readonly requestMsMax?: number } = {},
): ObjectStoreDeps {
  return {
    runtime: systemRuntime(),
    disk: systemDisk,
    limits: {
      requestMsMax: limits.requestMsMax ?? 10_000,
      connectMsMax: 1_000,
      socketsMax: 32,
      retry: { attemptsMax: limits.attemptsMax ?? 1, delayMsMin: 5, delayMsMax: 50 },
    },
    metrics: undefined,
  };
}

/** Proves: the defaults of the settings table are limits that S3Stream accepts as they are. */
import { expect, test } from "vitest";
import { type Settings, settingsTable } from "../../schemas/config.ts";
import type { FileWalLimits } from "../../src/stream/file-wal.ts";
import type { StreamLimits } from "../../src/stream/limits.ts";

test("settings are stream limits", () => {
  const defaults = Object.fromEntries(Object.entries(settingsTable).map(([name, row]) => [name, row.default]));
  const limits: StreamLimits & FileWalLimits = defaults as unknown as Settings; // A missing or renamed row fails to compile.
  expect(limits.walSegmentBytes).toBeGreaterThanOrEqual(2 * limits.walGroupBytesMax);
  expect(limits.uploadRetryDelayMsMin).toBeLessThanOrEqual(limits.uploadRetryDelayMsMax);
  expect(limits.blockBytesMax).toBeLessThanOrEqual(limits.readRequestBytesMax);
});

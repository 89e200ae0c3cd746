import { defineConfig } from "vitest/config";

/** The suites that need Java, Python or Go, run one after another: each starts servers of its own. */
export default defineConfig({
  test: {
    include: ["interop/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 900_000,
    expect: { poll: { timeout: 10_000 } },
    passWithNoTests: false,
  },
});

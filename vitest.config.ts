import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Two cores are what the smallest supported machine has; more workers only make timings noisy.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // What is waited for comes at once; on a machine with other work it comes later.
    expect: { poll: { timeout: 10_000 } },
    passWithNoTests: false,
  },
});

/** Proves: the tests of franz-go's kgo package pass against this broker, with connections that break under them, and by SCRAM. */
import { expect, test } from "vitest";
import { runKgo } from "./franz-go/suite.ts";

test("kgo", { timeout: 900_000 }, async () => {
  const { passed, skipped } = await runKgo();
  console.log(`${passed.length} passed, ${skipped.length} skipped: ${skipped.join(", ")}`);
  for (const group of ["range", "cooperative-sticky", "cooperative-sticky/static"]) {
    expect(passed).toContain(`TestGroupETL/${group}`);
    if (group !== "cooperative-sticky/static") expect(passed).toContain(`TestTxnEtl/${group}`);
  }
  expect(passed).toContain("TestSCRAMAuth");
  expect(passed.length).toBeGreaterThan(100);
});

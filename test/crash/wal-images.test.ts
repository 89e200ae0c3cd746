/** Proves: every kind of WAL recovers what it acked from every image that a crash may leave, several groups in flight; and planted bugs are seen. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mutated } from "../support/mutate.ts";
import { checkImages } from "./wal-images.ts";
import { walMutants } from "./wal-mutants.ts";
import { walWorlds } from "./wal-worlds.ts";

const seed = Date.now() % 1_000_000;
/** Each bug is known to be seen with it; with another, a life may end on the bug before an image is looked at. */
const mutantSeed = 1;

test.each(walWorlds)("what was acked is recovered from 3000 crash images, WAL %s", { timeout: 60_000 }, async (wal) => {
  const report = await checkImages({ wal, images: 3000, seed });
  expect(report.violations, `seed ${seed}`).toEqual([]);
  expect(report.images).toBeGreaterThanOrEqual(3000);
  expect(report.acked).toBeGreaterThan(report.images); // More than one acked record an image, or little was at stake.
});

test.each(Object.keys(walMutants))("a WAL with the bug %s is seen through", { timeout: 60_000 }, (mutant) => {
  const script = join(import.meta.dirname, "wal-images.ts");
  const args = [script, "--images", "5000", "--seed", String(mutantSeed), "--mutant", mutant];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(status, `${stdout}${stderr}`).toBe(0);
});

test("a mutant that does not fit its source is refused", () => {
  const mutant = { file: "x.ts", edits: [{ find: "a", put: "b" }] };
  expect(mutated("cad", mutant)).toBe("cbd");
  expect(() => mutated("c", mutant)).toThrow("not once in x.ts: a");
  expect(() => mutated("aa", mutant)).toThrow("not once in x.ts: a");
});

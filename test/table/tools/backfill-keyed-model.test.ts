/**
 * Proves: history that is brought into a table with a key, in whatever mode, between live changes, replays of dead letters,
 * rewrites and processes that die at any step, leaves the table as if it had come first: the fold of the whole log.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KeyedHistory, keyedKinds } from "../../support/keyed-history.ts";

const histories = Number(process.env["INLET_HISTORIES"] ?? 30);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-backfill-keyed-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe.each(keyedKinds)("%s", (kind) => {
  const total = { brought: 0, letters: 0, replayed: 0, superseded: 0, crashes: 0, rewritten: 0 };
  const groups = Math.ceil(histories / keyedKinds.length / 10);
  test.each(Array.from({ length: groups }, (_, group) => group))(
    "ten histories from seed %i0",
    { timeout: 120_000 },
    async (group) => {
      for (let seed = group * 10 + 1; seed <= group * 10 + 10; seed += 1) {
        const history = new KeyedHistory(seed, kind, true);
        await history.run(30);
        const { rows, model, verdict } = await history.finish(seed % 5 === 0 ? directory : null);
        expect(rows, `seed ${seed}`).toEqual(model);
        expect(verdict, `seed ${seed}`).toBe("equal");
        for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += history.counts[name];
      }
    },
  );
  afterAll(() => {
    for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(0);
  });
});

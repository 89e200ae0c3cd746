/**
 * Proves: whenever dead letters of a table with a key are replayed, in whatever mode, over topic partitions, rounds, rewrites, moves
 * of rows to other keys, logs that have let go of records and processes that die at any step, the table is the fold of the
 * records that became rows, in the order of their offsets: no letter takes the place of what came after it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KeyedHistory, keyedKinds } from "../../support/keyed-history.ts";

const histories = Number(process.env["INLET_HISTORIES"] ?? 30);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-replay-keyed-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe.each(keyedKinds)("%s", (kind) => {
  const total = { letters: 0, replayed: 0, superseded: 0, undecided: 0, crashes: 0, moves: 0, trims: 0, rewritten: 0 };
  const groups = Math.ceil(histories / keyedKinds.length / 10);
  test.each(Array.from({ length: groups }, (_, group) => group))(
    "ten histories from seed %i0",
    { timeout: 120_000 },
    async (group) => {
      for (let seed = group * 10 + 1; seed <= group * 10 + 10; seed += 1) {
        const history = new KeyedHistory(seed, kind, false);
        await history.run(30);
        const { rows, model, verdict } = await history.finish(seed % 5 === 0 ? directory : null);
        expect(rows, `seed ${seed}`).toEqual(model);
        expect(verdict, `seed ${seed}`).toMatch(/^(equal|unproven)$/);
        for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += history.counts[name];
      }
    },
  );
  afterAll(() => {
    const { moves, ...always } = total;
    for (const [name, count] of Object.entries(always)) expect(count, name).toBeGreaterThan(0);
    if (kind === "debezium") expect(moves).toBeGreaterThan(0);
  });
});

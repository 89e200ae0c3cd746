/** Many random histories of a table with a key, in each of its modes: in the end each table is its model. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Counted, KeyedHistory, keyedKinds } from "./keyed-history.ts";

const histories = Number(process.env["INLET_HISTORIES"] ?? 30);

export interface KeyedHistoriesOptions {
  /** The table begins behind what the topic has, which is brought into it. */
  readonly hasHistory: boolean;
  /** Of `verify`, in the end. */
  readonly verdict: RegExp;
  /** What must have happened in some of them. */
  readonly counted: readonly Counted[];
}

export function keyedHistories({ hasHistory, verdict: expected, counted }: KeyedHistoriesOptions): void {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "inlet-keyed-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  describe.each(keyedKinds)("%s", (kind) => {
    // Only an envelope says that a row moves to another key.
    const names = counted.filter((name) => name !== "moves" || kind === "debezium");
    const total = new Map(names.map((name) => [name, 0]));
    const groups = Math.ceil(histories / keyedKinds.length / 10);
    test.each(Array.from({ length: groups }, (_, group) => group))(
      "ten histories from seed %i0",
      { timeout: 120_000 },
      async (group) => {
        for (let seed = group * 10 + 1; seed <= group * 10 + 10; seed += 1) {
          const history = new KeyedHistory(seed, kind, hasHistory);
          await history.run(30);
          const { rows, model, verdict } = await history.finish(seed % 5 === 0 ? directory : null);
          expect(rows, `seed ${seed}`).toEqual(model);
          expect(verdict, `seed ${seed}`).toMatch(expected);
          for (const [name, sum] of total) total.set(name, sum + history.counts[name]);
        }
      },
    );
    afterAll(() => {
      for (const [name, sum] of total) expect(sum, name).toBeGreaterThan(0);
    });
  });
}

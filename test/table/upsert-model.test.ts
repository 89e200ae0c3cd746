/**
 * Proves: whatever is inserted, updated, deleted, inserted again or moved to another key, over topic partitions, rounds,
 * a change of the partition spec or of the format version, rewrites of files and processes that die at any step, the table as its specification says that readers see
 * it equals the model, with exactly one row a key.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import type { TableMetadata } from "../../src/table/iceberg/metadata.ts";
import type { PartitionSpec } from "../../src/table/iceberg/types.ts";
import { historyTable, UpsertHistory, upsertKinds } from "../support/upsert-history.ts";

const histories = Number(process.env["INLET_HISTORIES"] ?? 300);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-upsert-model-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Rules that hold for every state of the table, whatever its rows are. */
function requireRules(metadata: TableMetadata): void {
  const sequences = metadata.snapshots.map((snapshot) => snapshot["sequence-number"]);
  expect(new Set(sequences).size).toBe(sequences.length);
  const first = metadata["partition-specs"][0] as PartitionSpec;
  expect(first.fields).toEqual([]);
  const ids = currentSchema(metadata)["identifier-field-ids"] ?? [];
  const required = currentSchema(metadata).fields.filter((field) => ids.includes(field.id) && field.required);
  expect(required).toHaveLength(1);
}

describe.each(upsertKinds.flatMap((kind) => [[kind, 2] as const, [kind, 3] as const]))(
  "%s, format version %i",
  (kind, version) => {
    const total = { crashes: 0, moves: 0, deletes: 0, again: 0, specs: 0, rewritten: 0, vectors: 0, upgraded: 0 };
    const groups = Math.ceil(histories / 6 / 10);
    test.each(Array.from({ length: groups }, (_, group) => group))(
      "ten histories from seed %i0",
      { timeout: 120_000 },
      async (group) => {
        for (let seed = group * 10 + 1; seed <= group * 10 + 10; seed += 1) {
          const history = new UpsertHistory(seed, kind, version);
          await history.run(30);
          const { rows, model, verdict } = await history.finish(seed % 5 === 0 ? directory : null);
          expect(rows, `seed ${seed}`).toEqual(model);
          expect(verdict, `seed ${seed}`).toBe("equal");
          const metadata = (await history.lake.foreign().load(historyTable))?.metadata;
          if (metadata !== undefined && model.length > 0) requireRules(metadata);
          const counts = { ...history.counts, crashes: history.crashes };
          for (const [name, count] of Object.entries(counts)) total[name as keyof typeof total] += count;
        }
      },
    );
    afterAll(() => {
      const { moves, vectors, upgraded, ...always } = total;
      for (const [name, count] of Object.entries(always)) expect(count, name).toBeGreaterThan(0);
      if (kind === "debezium") expect(moves).toBeGreaterThan(0);
      if (version === 3) expect(vectors, "vectors").toBeGreaterThan(0);
      if (version === 3) expect(upgraded, "upgraded").toBeGreaterThan(0);
    });
  },
);

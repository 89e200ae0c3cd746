/** What every adapter in catalogs/ promises. The fault proxy stands between it and a catalog that works. */
import { describe, expect, test } from "vitest";
import { OperationFailed } from "../../src/base/errors.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import type { Catalog, LoadedTable, TableName } from "../../src/table/catalog.ts";
import { creationUpdates } from "../../src/table/commit/table-creation.ts";
import type { Requirement, Update } from "../../src/table/iceberg/updates.ts";
import { emptyTable, snapshot } from "./iceberg/tables.ts";

export interface CatalogWorld extends AsyncDisposable {
  /** Goes through the proxy. */
  readonly catalog: Catalog;
  /** Does not. */
  readonly direct: Catalog;
  /** Of the next commit: what becomes of its request or of its answer. Later ones pass. */
  fault: Fault | undefined;
}

export type Fault =
  | "request-lost"
  | "answer-lost"
  | "answer-late"
  /** Something on the way sends the request twice; the answer is that to the second. */
  | "request-doubled"
  | { readonly status: number; readonly happens: boolean };

export function catalogContract(
  name: string,
  start: () => Promise<CatalogWorld>,
  options: {
    /** Catalogs with one level say so. */
    readonly namespace?: readonly string[];
    /** A stand-in that does not compare before it swaps shows all but the race. */
    readonly isComparing?: boolean;
    /** Commits to several tables happen together. */
    readonly hasTransactions?: boolean;
  } = {},
): void {
  const { namespace = ["sales", "eu"], isComparing = true, hasTransactions = false } = options;
  describe(`a catalog: ${name}`, () => {
    const table: TableName = { namespace, name: "orders" };
    const { clock } = systemRuntime(); // A server of another maker compares with its own.
    const schema = emptyTable.schemas[0] as (typeof emptyTable.schemas)[number];
    const creation = creationUpdates({ schema, lastColumnId: 2, spec: { "spec-id": 0, fields: [] }, location: null });
    const main = { action: "set-snapshot-ref", "ref-name": "main", type: "branch" } as const;
    const append = (id: bigint, parent: bigint | null, sequence: number): readonly Update[] => [
      {
        action: "add-snapshot",
        snapshot: snapshot(id, parent, sequence, { timestampMs: clock.now() + sequence }),
      },
      { ...main, "snapshot-id": id },
    ];
    const onParent = (id: bigint | null): readonly Requirement[] => [
      { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": id },
    ];
    const huge = 9_223_372_036_854_775_807n;

    async function created(world: CatalogWorld): Promise<LoadedTable> {
      const answer = await world.catalog.create(table, creation);
      if (answer.kind !== "created") throw new Error(answer.kind);
      return answer.table;
    }

    async function currentOf(world: CatalogWorld): Promise<bigint | undefined> {
      return (await world.direct.load(table))?.metadata["current-snapshot-id"];
    }

    test("creates namespaces and table with our field ids; a second time it exists", async () => {
      await using world = await start();
      expect(await world.catalog.load(table)).toBeUndefined();
      const { metadata, metadataLocation } = await created(world);
      expect(metadata.schemas[0]?.fields).toEqual(schema.fields);
      expect(metadataLocation).toContain(".metadata.json");
      expect(await world.catalog.create(table, creation)).toEqual({ kind: "exists" });
      expect((await world.catalog.load(table))?.metadata["table-uuid"]).toBe(metadata["table-uuid"]);
    });

    test("commits on the asserted parent, ids of 64 bits unharmed; on another it is a conflict and nothing happened", async () => {
      await using world = await start();
      await created(world);
      const first = await world.catalog.commit(table, onParent(null), append(huge, null, 1));
      expect(first).toMatchObject({ kind: "committed", table: { metadata: { "current-snapshot-id": huge } } });
      const second = await world.catalog.commit(table, onParent(null), append(5n, null, 2));
      expect(second.kind).toBe("conflict");
      expect(await currentOf(world)).toBe(huge);
    });

    test("a commit to a table that is not there is a conflict", async () => {
      await using world = await start();
      await created(world);
      const gone = { ...table, name: "gone" };
      expect((await world.catalog.commit(gone, onParent(null), append(5n, null, 1))).kind).toBe("conflict");
    });

    test("what the catalog calls a bad request is thrown, and did not happen", async () => {
      await using world = await start();
      await created(world);
      const bad = [{ ...main, "snapshot-id": 77n }];
      const failure = await world.catalog.commit(table, [], bad).catch((cause: unknown) => cause);
      expect(failure).toBeInstanceOf(OperationFailed);
      expect((failure as OperationFailed).happened).toBe("no");
    });

    const maybes: readonly (readonly [Fault, boolean])[] = [
      ["request-lost", false],
      ["answer-lost", true],
      ["answer-late", true],
      ...[500, 502, 503, 504].flatMap((status) =>
        [true, false].map((happens) => [{ status, happens }, happens] as const),
      ),
    ];
    test.each(maybes)("%o on a commit is unknown, whether it happened (%s) or not", async (fault, happens) => {
      await using world = await start();
      await created(world);
      world.fault = fault;
      expect((await world.catalog.commit(table, onParent(null), append(5n, null, 1))).kind).toBe("unknown");
      expect(await currentOf(world)).toBe(happens ? 5n : -1n);
      // The same again is safe: its parent tells.
      const again = await world.catalog.commit(table, onParent(null), append(5n, null, 1));
      expect(again.kind).toBe(happens ? "conflict" : "committed");
    });

    test("a commit whose request was doubled on the way happened once, and its metadata stays", async () => {
      await using world = await start();
      await created(world);
      world.fault = "request-doubled";
      const outcome = await world.catalog.commit(table, onParent(null), append(5n, null, 1));
      expect(["committed", "conflict"]).toContain(outcome.kind); // As the second answer says; settling finds out.
      const after = await world.direct.load(table);
      expect(after?.metadata.snapshots.map((each) => each["snapshot-id"])).toEqual([5n]);
      const next = await world.catalog.commit(table, onParent(5n), append(6n, 5n, 2));
      expect(next.kind).toBe("committed");
    });

    test("a table whose creation got no answer may be there", async () => {
      await using world = await start();
      await created(world);
      const other = { ...table, name: "other" };
      world.fault = "answer-lost";
      expect((await world.catalog.create(other, creation)).kind).toBe("unknown");
      expect(await world.direct.load(other)).toBeDefined();
    });

    test("a conflict that is answered to a commit which happened: its parent tells", async () => {
      await using world = await start();
      await created(world);
      world.fault = { status: 409, happens: true }; // Something on the way sent it twice and passed on the second answer.
      const outcome = await world.catalog.commit(table, onParent(null), append(5n, null, 1));
      expect(["conflict", "unknown"]).toContain(outcome.kind);
      expect(await currentOf(world)).toBe(5n);
      expect((await world.catalog.commit(table, onParent(null), append(5n, null, 1))).kind).toBe("conflict");
    });

    describe.runIf(hasTransactions)("commits to two tables", () => {
      const other: TableName = { ...table, name: "orders_dlq" };
      const both = (parent: bigint | null, otherParent: bigint | null) => [
        { table: other, requirements: onParent(otherParent), updates: append(6n, null, 1) },
        { table, requirements: onParent(parent), updates: append(5n, null, 1) },
      ];
      async function idsOf(world: CatalogWorld): Promise<readonly (bigint | undefined)[]> {
        const tables = [await world.direct.load(other), await world.direct.load(table)];
        return tables.map((each) => each?.metadata["current-snapshot-id"]);
      }

      test("happen together, or neither does", async () => {
        await using world = await start();
        await created(world);
        await world.catalog.create(other, creation);
        expect((await world.catalog.commitAll?.(both(7n, null)))?.kind).toBe("conflict");
        expect(await idsOf(world)).toEqual([-1n, -1n]);
        expect((await world.catalog.commitAll?.(both(null, null)))?.kind).toBe("committed");
        expect(await idsOf(world)).toEqual([6n, 5n]);
      });

      test.each(maybes)("%o: unknown, whether they happened (%s) or not", async (fault, happens) => {
        await using world = await start();
        await created(world);
        await world.catalog.create(other, creation);
        world.fault = fault;
        expect((await world.catalog.commitAll?.(both(null, null)))?.kind).toBe("unknown");
        expect(await idsOf(world)).toEqual(happens ? [6n, 5n] : [-1n, -1n]);
        const again = await world.catalog.commitAll?.(both(null, null));
        expect(again?.kind).toBe(happens ? "conflict" : "committed");
      });
    });

    test.runIf(isComparing)("two writers on one parent: one commits", async () => {
      await using world = await start();
      await created(world);
      await world.direct.load(table);
      const outcomes = await Promise.all([
        world.catalog.commit(table, onParent(null), append(5n, null, 1)),
        world.direct.commit(table, onParent(null), append(6n, null, 1)),
      ]);
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual(["committed", "conflict"]);
    });
  });
}

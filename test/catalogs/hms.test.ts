/** Proves: catalogs/hms keeps the contract with and without locks, framed or not, and leaves in a table what others put there. */
import { describe, expect, test } from "vitest";
import { type HmsCatalogSettings, open } from "../../catalogs/hms.ts";
import { HmsClient } from "../../catalogs/hms-client.ts";
import { structAt, type ThriftValue, text, textAt, textMap, textMapAt } from "../../catalogs/thrift-binary.ts";
import { creationUpdates } from "../../src/table/commit/table-creation.ts";
import { startCommitProxy } from "../support/commit-proxy.ts";
import { type FakeHmsOptions, startFakeHms } from "../support/fake-hms.ts";
import { type CatalogWorld, catalogContract } from "../table/catalog-contract.ts";
import { emptyTable } from "../table/iceberg/tables.ts";
import { pointerDeps } from "./pointer-world.ts";

const limits = { requestMsMax: 2_000, responseBytesMax: 1 << 20 };
const hmsDeps = () => ({ ...pointerDeps(), limits });
const settings = (port: number, changes: Partial<HmsCatalogSettings> = {}): HmsCatalogSettings => ({
  name: "main",
  addresses: [{ host: "127.0.0.1", port }],
  isFramed: false,
  user: null,
  isLocking: true,
  ...changes,
});

function world(options: FakeHmsOptions, isLocking: boolean): () => Promise<CatalogWorld> {
  return async () => {
    const hms = await startFakeHms(options);
    const isCommit = (request: string): boolean => /create_table|alter_table/.test(request);
    const proxy = await startCommitProxy({ target: hms.port, isHttp: false, isCommit });
    const deps = hmsDeps();
    const changes = { isFramed: options.isFramed, isLocking };
    const [catalog, direct] = [open(settings(proxy.port, changes), deps), open(settings(hms.port, changes), deps)];
    return {
      catalog,
      direct,
      set fault(fault: CatalogWorld["fault"]) {
        proxy.fault = fault;
      },
      async [Symbol.asyncDispose]() {
        for (const each of [catalog, direct, proxy, hms]) await each[Symbol.asyncDispose]();
      },
    };
  };
}

catalogContract("Hive Metastore 3, locks, framed", world({ isFramed: true, comparesParameters: false }, true), {
  namespace: ["sales"],
});
catalogContract("Hive Metastore 4, without locks", world({ isFramed: false, comparesParameters: true }, false), {
  namespace: ["sales"],
});

describe("what the metastore holds", () => {
  const table = { namespace: ["sales"], name: "orders" };
  const schema = emptyTable.schemas[0] as (typeof emptyTable.schemas)[number];
  const creation = creationUpdates({ schema, lastColumnId: 2, spec: { "spec-id": 0, fields: [] }, location: null });
  const change = [{ action: "set-properties", updates: { a: "b" } }] as const;

  test("pointer, place and columns; what others put there stays, fields that we do not know included", async () => {
    await using hms = await startFakeHms({ isFramed: false, comparesParameters: true });
    await using catalog = open(settings(hms.port, { isLocking: false }), hmsDeps());
    const made = await catalog.create(table, creation);
    if (made.kind !== "created") throw new Error(made.kind);
    await using other = new HmsClient({ ...settings(hms.port), clock: pointerDeps().runtime.clock, limits });
    const before = hms.tables.get("sales.orders") ?? new Map<number, ThriftValue>();
    const theirs = new Map(before)
      .set(9, textMap([...textMapAt(before, 9), ["theirs", "kept"]]))
      .set(99, { kind: "list", of: "i64", items: [{ kind: "i64", value: -7n }] });
    const context = new Map<number, ThriftValue>([
      [
        1,
        textMap([
          ["expected_parameter_key", "metadata_location"],
          ["expected_parameter_value", made.table.metadataLocation],
        ]),
      ],
    ]);
    await other.call("alter_table_with_environment_context", [
      text("sales"),
      text("orders"),
      { kind: "struct", fields: theirs },
      { kind: "struct", fields: context },
    ]);
    const changed = await catalog.commit(table, [], change);
    if (changed.kind !== "committed") throw new Error(changed.kind);
    const now = hms.tables.get("sales.orders") ?? new Map<number, ThriftValue>();
    expect(Object.fromEntries(textMapAt(now, 9))).toEqual({
      EXTERNAL: "TRUE",
      table_type: "ICEBERG",
      metadata_location: changed.table.metadataLocation,
      previous_metadata_location: made.table.metadataLocation,
      theirs: "kept",
    });
    expect(now.get(99)).toEqual(theirs.get(99));
    expect(textAt(structAt(now, 7) ?? new Map(), 2)).toBe(made.table.metadata.location);
    expect(changed.table.metadata.properties["engine.hive.lock-enabled"]).toBe("false");
  });

  test("a table's own property decides whether it is locked, so that all its writers do the same", async () => {
    await using hms = await startFakeHms({ isFramed: false, comparesParameters: true });
    await using lockless = open(settings(hms.port, { isLocking: false }), hmsDeps());
    const deps = hmsDeps();
    await using locking = open(settings(hms.port), deps);
    await locking.create(table, creation);
    await locking.commit(table, [], change);
    expect(hms.calls.filter((method) => /lock|heartbeat/.test(method))).toEqual(["lock", "heartbeat", "unlock"]);
    await lockless.create({ ...table, name: "free" }, creation);
    expect(hms.calls.filter((method) => method === "lock")).toHaveLength(1);
  });

  async function lockByAnother(port: number): Promise<void> {
    await using other = new HmsClient({ ...settings(port), clock: hmsDeps().runtime.clock, limits });
    const component = new Map<number, ThriftValue>([
      [3, text("sales")],
      [4, text("orders")],
    ]);
    const request = { kind: "list", of: "struct", items: [{ kind: "struct", fields: component }] } as const;
    await other.call("lock", [{ kind: "struct", fields: new Map([[1, request]]) }]);
  }

  test("a lock that somebody else holds is waited for, and in the end it is a conflict", async () => {
    await using hms = await startFakeHms({ isFramed: false, comparesParameters: false });
    const deps = { ...hmsDeps(), limits: { ...limits, requestMsMax: 300 } };
    await using catalog = open(settings(hms.port), deps);
    await catalog.create(table, creation);
    await lockByAnother(hms.port);
    const outcome = await catalog.commit(table, [], change);
    expect(outcome).toEqual({ kind: "conflict", detail: "somebody else holds the lock of sales.orders" });
  });

  test("a place in the queue for a lock is given back when nobody says whose turn it is", async () => {
    await using hms = await startFakeHms({ isFramed: false, comparesParameters: false });
    await using catalog = open(settings(hms.port), hmsDeps());
    await catalog.create(table, creation);
    await lockByAnother(hms.port);
    hms.refusing.add("check_lock");
    await expect(catalog.commit(table, [], change)).rejects.toThrow("check_lock");
    expect(hms.calls.slice(-2)).toEqual(["check_lock", "unlock"]);
  });

  test("a name that it does not keep makes no database", async () => {
    await using hms = await startFakeHms({ isFramed: false, comparesParameters: false });
    await using catalog = open(settings(hms.port), hmsDeps());
    for (const bad of [
      { namespace: ["sales", "eu"], name: "orders" },
      { namespace: ["sales"], name: "Orders" },
    ])
      await expect(catalog.create(bad, creation)).rejects.toThrow("lower-case letters, digits and underscores");
    expect(hms.calls).toEqual([]);
  });

  test("a connection whose user is refused is closed", async () => {
    await using hms = await startFakeHms({ isFramed: false, comparesParameters: false });
    hms.refusing.add("set_ugi");
    await using catalog = open(settings(hms.port, { user: "inlet" }), hmsDeps());
    for (let attempt = 0; attempt < 3; attempt += 1) await expect(catalog.load(table)).rejects.toThrow("set_ugi");
    await expect.poll(() => hms.connections).toBe(0);
  });

  test("a comment is as long as MySQL's metastore takes it", async () => {
    await using hms = await startFakeHms({ isFramed: false, comparesParameters: false });
    await using catalog = open(settings(hms.port), hmsDeps());
    const fields = schema.fields.map((field) => ({ ...field, doc: "ä".repeat(200) }));
    const commented = { schema: { ...schema, fields }, lastColumnId: 2, location: null } as const;
    await catalog.create(table, creationUpdates({ ...commented, spec: { "spec-id": 0, fields: [] } }));
    const columns = structAt(hms.tables.get("sales.orders") ?? new Map(), 7)?.get(1);
    const comments =
      columns?.kind === "list" ? columns.items.map((item) => item.kind === "struct" && textAt(item.fields, 3)) : [];
    expect(comments).toEqual(Array(2).fill("ä".repeat(128)));
  });
});

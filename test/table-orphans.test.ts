/** Proves: a person sees what nothing names, removes it only by saying so, and never joins a search for something else. */
import { describe, expect, test } from "vitest";
import { OperationFailed } from "../src/base/errors.ts";
import { LogLevels } from "../src/base/log-levels.ts";
import { systemRuntime } from "../src/base/runtime.ts";
import { openHttpServer } from "../src/server/http.ts";
import { tableOrphanRoutes } from "../src/server/table-orphan-routes.ts";
import type { OrphanReport } from "../src/table/maintenance/orphans.ts";
import { OrphanDesk } from "../src/table-orphans.ts";
import { openLogger } from "../src/telemetry/logging.ts";
import { inlet } from "./support/command.ts";
import { tableSettings } from "./table/translate-fixtures.ts";

const { clock } = systemRuntime();
const day = 86_400_000;
const found: OrphanReport = {
  listed: 9,
  orphans: 2,
  bytes: 30,
  examples: ["s3://lake/orders/data/a.parquet"],
  held: "",
};

type Remove = (
  topic: string,
  options: { readonly olderThanMs: number; readonly isDryRun: boolean },
) => Promise<OrphanReport>;

function deskOf(removeOrphans: Remove): OrphanDesk {
  const maintain = { rewrites: true, manifests: true, orphansMs: 3 * day };
  return new OrphanDesk({ compactor: { removeOrphans }, tables: [tableSettings("json", { maintain })], clock });
}

async function run(removeOrphans: Remove, args: readonly string[]) {
  await using desk = deskOf(removeOrphans);
  await using server = await openHttpServer({
    name: "admin",
    host: "127.0.0.1",
    port: 0,
    routes: tableOrphanRoutes(desk),
    hostsAllowed: [],
    bodyBytesMax: 1000,
    connectionsMax: 5,
    requestMsMax: 1000,
    closeMsMax: 100,
    clock,
    logger: openLogger({ levels: new LogLevels("fatal"), repeatsMax: 1, repeatsMs: 1, clock }),
  });
  return await inlet(["--admin", server.url, "table", "orphans", ...args]);
}

describe("inlet table orphans", () => {
  test("shows them, and asks for no more, unless it is told to delete", async () => {
    const asked: unknown[] = [];
    const remove: Remove = async (topic, options) => {
      asked.push([topic, options]);
      return found;
    };
    expect(await run(remove, ["orders"])).toEqual({
      code: 0,
      error: "",
      out: `2 of 9 files, 30 bytes, are named by nothing and older than 3d
  s3://lake/orders/data/a.parquet
  and 1 more
They are still there: --delete removes them.
`,
    });
    expect((await run(remove, ["orders", "--delete", "--older-than", "36h"])).out).toContain("They were deleted.");
    expect(asked).toEqual([
      ["orders", { olderThanMs: 3 * day, isDryRun: true }],
      ["orders", { olderThanMs: 1.5 * day, isDryRun: false }],
    ]);
    expect(JSON.parse((await run(remove, ["orders", "--json"])).out)).toEqual({
      topic: "orders",
      olderThan: "3d",
      delete: false,
      ...found,
    });
  });

  test("says why nothing was looked for, and what is no age", async () => {
    const held = await run(async () => ({ ...found, orphans: 0, held: "the table was replaced" }), ["orders"]);
    expect(held).toEqual({ code: 1, out: "", error: "inlet: orphans were not looked for: the table was replaced\n" });
    const failing: Remove = () => Promise.reject(new OperationFailed("the catalog is away", { happened: "no" }));
    expect(await run(failing, ["orders"])).toMatchObject({
      code: 1,
      error: "inlet: orphans of orders could not be found: the catalog is away\n",
    });
    for (const age of ["soon", "1h", "0"]) {
      expect([age, (await run(async () => found, ["orders", "--older-than", age])).code]).toEqual([age, 2]);
    }
    expect((await run(async () => found, ["nothing"])).code).toBe(4);
  });
});

test("a search joins one like it, and no other", async () => {
  const gate = Promise.withResolvers<OrphanReport>();
  const desk = deskOf(() => gate.promise);
  const dry = { olderThan: "7d", isDelete: false };
  expect(desk.startOrphans("orders", dry).kind).toBe("ok");
  expect(desk.startOrphans("orders", dry).kind).toBe("ok");
  expect(desk.startOrphans("orders", { ...dry, isDelete: true }).kind).toBe("busy");
  expect(desk.startOrphans("orders", { ...dry, olderThan: "8d" }).kind).toBe("busy");
  gate.resolve(found);
  expect(await desk.orphansState("orders", new AbortController().signal)).toMatchObject({
    kind: "ok",
    detail: { state: "done", olderThan: "7d", delete: false, result: found },
  });
  expect((await desk.orphansState("other", new AbortController().signal)).kind).toBe("missing");
  await desk[Symbol.asyncDispose]();
});

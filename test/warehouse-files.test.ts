/** Proves: where tables say that their files are, the broker reaches tables' files, and neither its own nor those of its machine. */
import { existsSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Settings } from "../schemas/config.ts";
import { openWarehouse } from "../src/warehouse-files.ts";
import { storeDeps } from "./support/store-deps.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "inlet-warehouse-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function filesOf(storeUrl: string) {
  const settings = { catalogWarehouse: "", dataDirectory: directory } as Settings;
  const { files } = await openWarehouse({ settings, storeUrl, storeDeps: storeDeps() });
  return files;
}

const s3 = "s3://lake/inlet?region=eu-west-1&endpoint=http%3A%2F%2F127.0.0.1%3A9&accessKey=a&secretKey=b";

test("no table is in a file of the machine outside the warehouse", async () => {
  await using files = await filesOf(pathToFileURL(join(directory, "objects")).href);
  const victim = join(directory, "victim");
  writeFileSync(victim, "of somebody else");
  for (const uri of [`file://localhost${victim}`, `file://${victim}`, "file://localhost/etc/passwd"]) {
    expect(files.reaches(uri), uri).toBe(false);
    await expect(files.read(uri), uri).rejects.toThrow("no store is configured");
    await expect(files.remove([uri]), uri).rejects.toThrow("no store is configured");
  }
  expect(existsSync(victim)).toBe(true);
  expect(files.reaches(`${pathToFileURL(directory).href}/warehouse/a/t`)).toBe(true);
});

describe("a bucket that a table names", () => {
  test.each([
    "s3://evil?endpoint=http:%2F%2F169.254.169.254%2F/latest/meta-data",
    "s3://user@lake/inlet/objects/a",
    "s3://lake:80/a",
    "s3://la%6be/a",
    "abfss://c@account.dfs.evil.example/a",
    "abfss://c@account.evil/a",
    "gopher://far/away",
    "memory://m/a",
  ])("says nothing but its name: %s", async (uri) => {
    await using files = await filesOf(s3);
    expect(files.reaches(uri)).toBe(false);
    await expect(files.read(uri)).rejects.toThrow("no store is configured");
  });

  test.each(["s3://other.bucket/a/t", "s3a://other/a", "s3://lake/inlet/warehouse/a/t", "s3://lake/inlet/tables/t"])(
    "may be any that the broker's keys open: %s",
    async (uri) => {
      await using files = await filesOf(s3);
      expect(files.reaches(uri)).toBe(true);
    },
  );

  test("may be a container of Azure's own clouds", async () => {
    await using files = await filesOf(s3);
    expect(files.reaches("abfss://c@account.dfs.core.windows.net/a")).toBe(true);
  });
});

describe("the cluster's own objects are no table's", () => {
  test.each([
    ["s3://lake/inlet/objects/1/a", s3],
    ["s3a://lake/inlet/wal/1/a", s3],
    ["s3://lake/inlet//meta/log/00000000000000000001", s3],
    ["s3://lake/inlet/tables/0b6f8a52-3c1d-4e7f-9a68-5d2c41b7e093/rows/0000000000000007-0000000000000003", s3],
    ["s3://lake/inlet/warehouse/../meta/log/00000000000000000001", s3],
    ["abfss://lake@a1.dfs.core.windows.net/objects/a", "az://lake?account=a1&accountKey=b"],
    ["az://lake/objects/a", "abfss://lake@a1.dfs.core.windows.net?accountKey=b"],
  ])("%s", async (uri, storeUrl) => {
    await using files = await filesOf(storeUrl);
    expect(files.reaches(uri)).toBe(false);
    await expect(files.read(uri)).rejects.toThrow("no table's");
    await expect(files.create(uri, new Uint8Array(1))).rejects.toThrow("no table's");
    await expect(files.remove([uri])).rejects.toThrow("no table's");
  });
});

/** Proves: what the configuration says of a catalog reaches the adapter, and the embedded one is a REST catalog of our own. */
import { expect, test } from "vitest";
import { restSettings } from "../src/catalogs.ts";

const embedded = { url: "http://127.0.0.1:8181", token: "" };

test("everything said of a REST catalog reaches its adapter", () => {
  const said = {
    name: "main",
    uri: "https://catalog.example",
    warehouse: "w",
    auth: { kind: "bearer", token: "t" },
    accessDelegation: "vended-credentials",
    properties: new Map([["prefix", "p"]]),
  } as const;
  expect(restSettings("main", { type: "rest", ...said }, embedded)).toMatchObject(said);
});

test("the embedded catalog is asked where it listens, without credentials", () => {
  expect(restSettings("lake", { type: "embedded" }, embedded)).toEqual({
    name: "lake",
    uri: "http://127.0.0.1:8181",
    warehouse: "lake",
    auth: { kind: "none" },
    accessDelegation: null,
    properties: new Map(),
  });
});

test("the embedded catalog is shown its own token", () => {
  const settings = restSettings("lake", { type: "embedded" }, { ...embedded, token: "t" });
  expect(settings.auth).toEqual({ kind: "bearer", token: "t" });
});

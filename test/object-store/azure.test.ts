/** Proves: the store over Azure Blob obeys the contract against Microsoft's own emulator, by account key and by SAS, and tells failures apart. */
import { ContainerSASPermissions } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openAzureObjectStore } from "../../src/object-store/azure.ts";
import { azureTrouble } from "../../src/object-store/azure-errors.ts";
import { openObjectStore } from "../../src/object-store/open.ts";
import { type Azurite, startAzurite } from "../support/azurite.ts";
import { storeDeps } from "../support/store-deps.ts";
import { objectStoreContract } from "./contract.ts";

let azurite: Azurite;
let runs = 0;
beforeAll(async () => {
  azurite = await startAzurite();
  await azurite.service.createContainer("lake");
});
afterAll(async () => await azurite?.[Symbol.asyncDispose]());

function url(prefix: string, parameters: Readonly<Record<string, string>>): string {
  const { account, endpoint } = azurite;
  return `az://lake/${prefix}?${new URLSearchParams({ account, endpoint, ...parameters }).toString()}`;
}

objectStoreContract("azure, Azurite", async () => {
  runs += 1;
  const { accountKey } = azurite;
  const store = await openObjectStore(url(`run ${runs}/objects`, { accountKey }), storeDeps());
  return { store, run: (work) => work, dispose: () => store[Symbol.asyncDispose]() };
});

describe("azure", () => {
  test("a shared access signature opens the container, and its permissions hold", async () => {
    const container = azurite.service.getContainerClient("lake");
    const expiresOn = new Date(Date.now() + 3_600_000);
    const permissions = ContainerSASPermissions.parse("rl");
    const sas = new URL(await container.generateSasUrl({ permissions, expiresOn })).search;
    await using writer = await openObjectStore(url("sas", { accountKey: azurite.accountKey }), storeDeps());
    await writer.put("a", new Uint8Array(3));
    await using reader = await openObjectStore(url("sas", { sasToken: sas }), storeDeps());
    expect(await reader.get("a")).toHaveLength(3);
    await expect(reader.put("b", new Uint8Array(1))).rejects.toMatchObject({ happened: "no", retriable: false });
  });

  test("a missing container and a wrong key did not happen, and repeating would not help", async () => {
    const { accountKey } = azurite;
    const absent = url("p", { accountKey }).replace("az://lake", "az://absent");
    await using nowhere = await openObjectStore(absent, storeDeps());
    await expect(nowhere.put("a", new Uint8Array(1))).rejects.toMatchObject({ happened: "no", retriable: false });
    const wrong = url("p", { accountKey: Buffer.alloc(32).toString("base64") });
    await using denied = await openObjectStore(wrong, storeDeps());
    await expect(denied.put("a", new Uint8Array(1))).rejects.toMatchObject({ happened: "no", retriable: false });
  });

  test("two uploads of one object do not mix their parts, and a completed one may be completed again", async () => {
    await using store = await openObjectStore(url("two", { accountKey: azurite.accountKey }), storeDeps());
    const [first, second] = [await store.multipart("m"), await store.multipart("m")];
    await first.part(new Uint8Array(4).fill(1));
    await second.part(new Uint8Array(9).fill(2));
    await second.complete();
    await second.complete();
    expect(await store.get("m")).toEqual(new Uint8Array(9).fill(2));
  });

  test("a listing goes on over pages", async () => {
    const { account, accountKey, endpoint } = azurite;
    const where = { url: "az://lake/pages", bucket: "lake", prefix: "pages", account, endpoint };
    const credentials = { kind: "key", accountKey } as const;
    const { runtime, limits } = storeDeps();
    const store = await openAzureObjectStore({ ...where, credentials }, { ...runtime, limits, pageKeysMax: 3 });
    const keys = ["a", "b", "c", "d", "e", "f", "g"];
    await Promise.all(keys.map((key) => store.put(key, new Uint8Array(1))));
    const found: string[] = [];
    for await (const { key } of store.list("")) found.push(key);
    expect(found).toEqual(keys);
    await store.delete(keys);
    for await (const { key } of store.list("")) expect.unreachable(key);
  });
});

const answer = (statusCode: number, errorCode?: string): unknown => ({ statusCode, details: { errorCode } });
const no = (retriable: boolean) => ({ kind: "failed", happened: "no", retriable });
const maybe = { kind: "failed", happened: "maybe", retriable: true };

test.each<readonly [cause: unknown, expected: unknown]>([
  [answer(412, "ConditionNotMet"), { kind: "condition" }],
  [answer(409, "BlobAlreadyExists"), { kind: "condition" }],
  [answer(409, "ContainerBeingDeleted"), no(true)],
  [answer(409, "LeaseIdMissing"), no(false)],
  [answer(404, "BlobNotFound"), { kind: "missing" }],
  [answer(404), { kind: "missing" }],
  [answer(404, "ContainerNotFound"), no(false)],
  [answer(416, "InvalidRange"), { kind: "range" }],
  [answer(401, "InvalidAuthenticationInfo"), no(true)],
  [answer(403, "AuthorizationPermissionMismatch"), no(false)],
  [answer(429), no(true)],
  [answer(500, "InternalError"), maybe],
  [answer(500, "OperationTimedOut"), maybe],
  [answer(503, "ServerBusy"), maybe],
  [{ code: "ECONNREFUSED" }, no(true)],
  [{ name: "RestError", code: "ECONNRESET" }, maybe],
  [{ name: "CredentialUnavailableError" }, no(true)],
  [{ name: "AbortError" }, maybe],
  ["nonsense", maybe],
])("%j", (cause, expected) => {
  expect(azureTrouble(cause)).toMatchObject(expected as object);
});

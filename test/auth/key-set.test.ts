/** Proves: keys of tokens are read anew when they must be and no more often than they may, over HTTP within bounds, and fail closed. */
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import type { SignedToken } from "../../src/auth/jwt.ts";
import { KeySet } from "../../src/auth/key-set.ts";
import { fetchKeys } from "../../src/authentication.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { silent } from "../support/seeded.ts";

const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const setOf = (kid: string): string => JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid }] });
const token = (keyId: string): SignedToken => ({
  algorithm: "RS256",
  keyId,
  claims: {},
  signed: new Uint8Array(0),
  signature: new Uint8Array(0),
});

function world(read: () => Promise<string>) {
  const clock = new ManualClock();
  let reads = 0;
  const keys = new KeySet({
    read: () => {
      reads += 1;
      return read();
    },
    clock,
    logger: silent,
    ageMsMax: 60_000,
    readIntervalMsMin: 10_000,
  });
  const ids = async (keyId: string) => (await keys.keysFor(token(keyId))).map(({ id }) => id);
  return { clock, ids, reads: () => reads };
}

describe("a set of keys", () => {
  test("is read once for a storm of tokens with keys that nobody knows, and again after ten seconds", async () => {
    const { clock, ids, reads } = world(async () => setOf("one"));
    await Promise.all(Array.from({ length: 500 }, (_, at) => ids(`made-up-${at}`)));
    expect(reads()).toBe(1);
    clock.advance(9_999);
    await ids("made-up");
    expect(reads()).toBe(1);
    clock.advance(1);
    await ids("made-up");
    expect(reads()).toBe(2);
  });

  test("finds a key that was rolled over, and forgets one that was withdrawn", async () => {
    let text = setOf("one");
    const { clock, ids } = world(async () => text);
    expect(await ids("one")).toEqual(["one"]);
    text = setOf("two");
    clock.advance(10_000);
    expect(await ids("two")).toEqual(["two"]);
    expect(await ids("one")).toEqual(["two"]);
  });

  test("goes on while its source is away, and then lets nobody in", async () => {
    let isAway = false;
    const { clock, ids } = world(async () => {
      if (isAway) throw new Error("away");
      return setOf("one");
    });
    await ids("one");
    isAway = true;
    clock.advance(119_999);
    expect(await ids("one")).toEqual(["one"]);
    clock.advance(2);
    expect(await ids("one")).toEqual([]);
  });
});

describe("over HTTP", () => {
  async function served<T>(answer: (response: ServerResponse) => void, ask: (url: string) => Promise<T>): Promise<T> {
    const server = createServer((_, response) => answer(response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      return await ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  test("they are what the server says", async () => {
    expect(await served((response) => response.end(setOf("one")), fetchKeys)).toBe(setOf("one"));
  });

  test("CVE-2025-27817: redirects are not followed, and neither is an error or an endless answer taken for keys", async () => {
    const elsewhere: string[] = [];
    const keysOfAnother = (response: ServerResponse) => {
      elsewhere.push(response.req.url ?? "");
      response.end(setOf("another's"));
    };
    await served(keysOfAnother, async (location) => {
      const redirect = (response: ServerResponse) => response.writeHead(302, { location }).end();
      await expect(served(redirect, fetchKeys)).rejects.toThrow();
    });
    expect(elsewhere).toEqual([]);
    const missing = (response: ServerResponse) => response.writeHead(404).end(setOf("one"));
    await expect(served(missing, fetchKeys)).rejects.toThrow("404");
    const endless = (response: ServerResponse) => response.end(Buffer.alloc(2 * 1024 * 1024, " "));
    await expect(served(endless, fetchKeys)).rejects.toThrow("more than");
  });
});

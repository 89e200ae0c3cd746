/** Proves: who has not said who it is may take little time and few bytes, and what it was let in for ends with its session. */
import { expect, onTestFinished, test } from "vitest";
import { errorCode } from "../../schemas/kafka/errors.ts";
import type { Mechanism } from "../../src/auth/mechanism.ts";
import { dispatcher } from "../../src/protocol/dispatch.ts";
import { SimClock } from "../sim/clock.ts";
import { RawClient } from "../support/raw-client.ts";
import { silent } from "../support/seeded.ts";
import { openTestListener } from "./test-listener.ts";

/** Lets everybody in, under the name that is its token. */
const naming: Mechanism = {
  name: "NAME",
  begin: () => ({
    step: async (token) => {
      const identity = { name: Buffer.from(token).toString(), isTokenAuthenticated: false, expiresAtMs: undefined };
      return { kind: "authenticated", token: new Uint8Array(0), identity };
    },
  }),
};

async function world() {
  const clock = new SimClock();
  const listener = await openTestListener({
    dispatcher: dispatcher({
      heartbeat: async () => ({ errorCode: 0 }),
      saslHandshake: async () => "close",
      saslAuthenticate: async () => "close",
    }),
    clock,
    sasl: {
      mechanisms: new Map([["NAME", naming]]),
      limits: { failedAuthenticationDelayMs: 100, sessionMsMax: 30_000 },
      audit: silent,
    },
  });
  onTestFinished(() => listener[Symbol.asyncDispose]());
  const client = async () => {
    const opened = await RawClient.open(listener);
    onTestFinished(() => opened[Symbol.asyncDispose]());
    return opened;
  };
  const known = async () => {
    const opened = await client();
    await opened.call("saslHandshake", 1, { mechanism: "NAME" });
    await opened.call("saslAuthenticate", 2, { authBytes: Buffer.from("alice") });
    return opened;
  };
  return { clock, listener, client, known };
}

const heartbeat = { groupId: "g", generationId: 1, memberId: "m" };

function lengthPrefix(bytes: number): Uint8Array {
  const prefix = Buffer.alloc(4);
  prefix.writeInt32BE(bytes);
  return prefix;
}

test("a stranger's frame of 512 KiB and a byte is refused when it is announced; who is known may send more", async () => {
  const { client, known } = await world();
  const stranger = await client();
  stranger.send(lengthPrefix(512 * 1024 + 1));
  await stranger.closed;
  const alice = await known();
  alice.send(lengthPrefix(512 * 1024 + 1));
  alice.send(new Uint8Array(100));
  expect(await known().then((other) => other.call("heartbeat", 4, heartbeat))).toMatchObject({ errorCode: 0 });
  expect(alice.socket.destroyed).toBe(false);
});

test("a stranger that takes more than ten seconds is closed, who is known is not", async () => {
  const { clock, client, known, listener } = await world();
  const [stranger, alice] = [await client(), await known()];
  stranger.request("saslHandshake", 1, { mechanism: "NAME" });
  await stranger.correlationId();
  await clock.run(9_000);
  expect(listener.connections).toBe(2);
  await clock.run(3_000);
  await stranger.closed;
  expect(await alice.call("heartbeat", 4, heartbeat)).toMatchObject({ errorCode: 0 });
});

test("a stranger that asks for anything else is closed", async () => {
  const stranger = await (await world()).client();
  stranger.request("heartbeat", 4, heartbeat);
  await stranger.closed;
});

test("a stranger that asks for versions between its handshake and its token is told what is wrong, and closed", async () => {
  const stranger = await (await world()).client();
  await stranger.call("saslHandshake", 1, { mechanism: "NAME" });
  const answer = await stranger.call("apiVersions", 0, { clientSoftwareName: "", clientSoftwareVersion: "" });
  expect(answer).toMatchObject({ errorCode: errorCode.ILLEGAL_SASL_STATE, apiKeys: [] });
  await stranger.closed;
});

test("a session that is over closes with the next request, one that was renewed goes on", async () => {
  const { clock, known } = await world();
  const [alice, bob] = [await known(), await known()];
  await clock.run(29_000);
  await bob.call("saslHandshake", 1, { mechanism: "NAME" });
  await bob.call("saslAuthenticate", 2, { authBytes: Buffer.from("alice") });
  await clock.run(2_000);
  expect(await bob.call("heartbeat", 4, heartbeat)).toMatchObject({ errorCode: 0 });
  alice.request("heartbeat", 4, heartbeat);
  await alice.closed;
});

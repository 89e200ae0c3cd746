/** Proves: tokens are made and seen by whom they concern, and by whom ACLs allow to act for these (KIP-48, KIP-373). */
import { expect, test } from "vitest";
import { delegationTokenHandlers } from "../../../src/handlers/access/delegation-tokens.ts";
import type { RequestOf } from "../../../src/protocol/api-table.ts";
import type { RequestContext } from "../../../src/protocol/dispatch.ts";
import { SimClock } from "../../sim/clock.ts";
import { SimRandom } from "../../sim/random.ts";
import { context } from "../../support/log-world.ts";
import { MemoryMetadata } from "../../support/memory-metadata.ts";
import { error } from "../admin-world.ts";

type Create = RequestOf<"createDelegationToken">;

const limits = {
  delegationTokenSecret: "of the test",
  delegationTokenLifetimeMsMax: 1_000_000,
  delegationTokenExpiryMs: 1_000,
  delegationTokensMax: 10,
};

/** Where who asks may do what `acls` lists as `operation kind name`; undefined: no ACLs are enforced. */
function world(acls?: readonly string[]) {
  const may = (operation: string, kind: string, name: string): boolean =>
    acls?.includes(`${operation} ${kind} ${name}`) === true;
  const access = acls === undefined ? undefined : () => ({ may, could: may });
  const runtime = { clock: new SimClock(), random: new SimRandom("tokens") };
  return delegationTokenHandlers({ metadata: new MemoryMetadata(), runtime, limits, access });
}

function as(name: string): RequestContext {
  return context({ apiVersion: 3, principal: { type: "User", name, isTokenAuthenticated: false } });
}

function request(fields: Partial<Create> = {}): Create {
  return { ownerPrincipalType: null, ownerPrincipalName: null, renewers: [], maxLifetimeMs: -1, ...fields };
}

const forBob = request({ ownerPrincipalType: "User", ownerPrincipalName: "bob" });

test("one's own token takes no ACL, another's does", async () => {
  const { createDelegationToken: create } = world([]);
  expect(error(await create(request(), as("alice")))).toBe("NONE");
  const own = request({ ownerPrincipalType: "User", ownerPrincipalName: "alice" });
  expect(error(await create(own, as("alice")))).toBe("NONE");
  expect(error(await create(forBob, as("alice")))).toBe("DELEGATION_TOKEN_AUTHORIZATION_FAILED");
});

test.each([
  ["with CREATE_TOKENS on the user", ["createTokens user User:bob"]],
  ["where no ACLs are enforced", undefined],
])("a token for another is made %s, and says who asked for it", async (_, acls) => {
  const { createDelegationToken: create, describeDelegationToken: describe } = world(acls);
  expect(await create(forBob, as("alice"))).toMatchObject({
    errorCode: 0,
    principalName: "bob",
    tokenRequesterPrincipalName: "alice",
  });
  for (const user of ["alice", "bob"]) {
    const { tokens } = await describe({ owners: null }, as(user));
    expect(tokens.map((token) => [token.principalName, token.tokenRequesterPrincipalName])).toEqual([["bob", "alice"]]);
  }
});

test("owners and renewers are users", async () => {
  const { createDelegationToken: create } = world();
  const robot = { principalType: "Robot", principalName: "r" };
  expect(error(await create(request({ renewers: [robot] }), as("alice")))).toBe("INVALID_PRINCIPAL_TYPE");
  const owned = await create(request({ ownerPrincipalType: "Robot", ownerPrincipalName: "r" }), as("alice"));
  expect(error(owned)).toBe("INVALID_PRINCIPAL_TYPE");
  expect(owned).toMatchObject({ principalType: "Robot", principalName: "r", tokenId: "" });
});

test("a stranger sees a token with DESCRIBE on it, or with DESCRIBE_TOKENS on its owner", async () => {
  const acls: string[] = [];
  const { createDelegationToken: create, describeDelegationToken: describe } = world(acls);
  const { tokenId } = await create(request(), as("alice"));
  const seen = async () => (await describe({ owners: null }, as("mallory"))).tokens.map((token) => token.tokenId);
  expect(await seen()).toEqual([]);
  for (const acl of [`describe delegationToken ${tokenId}`, "describeTokens user User:alice"]) {
    acls.splice(0, 1, acl);
    expect(await seen()).toEqual([tokenId]);
  }
  acls.splice(0, 1, "describeTokens user User:bob");
  expect(await seen()).toEqual([]);
});

test("tokens are asked for by their owners, or by who may use them", async () => {
  const { createDelegationToken: create, describeDelegationToken: describe } = world([]);
  const bob = { principalType: "User", principalName: "bob" };
  await create(request({ renewers: [bob] }), as("alice"));
  await create(request(), as("alice"));
  const of = async (...owners: (typeof bob)[]) => (await describe({ owners }, as("alice"))).tokens.length;
  expect(await of(bob)).toBe(1);
  expect(await of({ ...bob, principalName: "alice" })).toBe(2);
  expect(await of({ ...bob, principalType: "Robot" })).toBe(0);
  expect(await of()).toBe(0);
});

test("a token is renewed for as long as one lives without it at most, whatever is asked for", async () => {
  const { createDelegationToken: create, renewDelegationToken: renew } = world();
  const { hmac, issueTimestampMs } = (await create(request(), as("alice"))) as {
    hmac: Uint8Array;
    issueTimestampMs: number;
  };
  const until = async (renewPeriodMs: number) =>
    ((await renew({ hmac, renewPeriodMs }, as("alice"))) as { expiryTimestampMs: number }).expiryTimestampMs -
    issueTimestampMs;
  expect([await until(500), await until(-1), await until(0), await until(500_000)]).toEqual([500, 1000, 1000, 1000]);
});

test("tokens that have expired take nobody's place", async () => {
  const runtime = { clock: new SimClock(), random: new SimRandom("tokens") };
  const tight = { ...limits, delegationTokensMax: 2 };
  const { createDelegationToken: create } = delegationTokenHandlers({
    metadata: new MemoryMetadata(),
    runtime,
    limits: tight,
  });
  const made = async () => error(await create(request(), as("alice")));
  expect([await made(), await made(), await made()]).toEqual(["NONE", "NONE", "INVALID_REQUEST"]);
  await runtime.clock.run(limits.delegationTokenExpiryMs);
  expect([await made(), await made(), await made()]).toEqual(["NONE", "NONE", "INVALID_REQUEST"]);
});

test("tokens that have expired are not shown", async () => {
  const runtime = { clock: new SimClock(), random: new SimRandom("tokens") };
  const options = { metadata: new MemoryMetadata(), runtime, limits };
  const { createDelegationToken: create, describeDelegationToken: describe } = delegationTokenHandlers(options);
  const shown = async () => (await describe({ owners: null }, as("alice"))).tokens.length;
  await create(request({ maxLifetimeMs: 100 }), as("alice"));
  await create(request(), as("alice"));
  expect(await shown()).toBe(2);
  await runtime.clock.run(100);
  expect(await shown()).toBe(1);
});

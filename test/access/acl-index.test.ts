/** Proves: the index of ACLs says what reading all of them one by one says, in every case that Kafka's rules tell apart. */
import { describe, expect, test } from "vitest";
import { type Acl, aclKey, aclOf, operations, patternTypes, permissions, resourceTypes } from "../../src/access/acl.ts";
import { AclIndex, type Asker } from "../../src/access/acl-index.ts";
import { SimRandom } from "../sim/random.ts";

/** More with ACL_MODEL_SETS=100000. */
const sets = Number(process.env["ACL_MODEL_SETS"] ?? 3_000);

const describers = [operations.describe, operations.read, operations.write, operations.delete, operations.alter];

/** The rules, with no thought of speed. */
function naive(
  acls: readonly Acl[],
  asker: Asker,
  operation: number,
  type: number,
  name: string,
  open: boolean,
): boolean {
  const onResource = acls.filter(
    (acl) =>
      acl.resourceType === type &&
      (acl.patternType === patternTypes.prefixed
        ? name.startsWith(acl.resourceName)
        : acl.resourceName === "*" || acl.resourceName === name),
  );
  if (onResource.length === 0) return open;
  const forAsker = onResource.filter(
    (acl) => ["User:*", asker.principal].includes(acl.principal) && ["*", asker.host].includes(acl.host),
  );
  const isDenied = forAsker.some(
    (acl) => acl.permissionType === permissions.deny && [operations.all, operation].includes(acl.operation),
  );
  const implied: readonly number[] =
    operation === operations.describe
      ? describers
      : operation === operations.describeConfigs
        ? [operations.describeConfigs, operations.alterConfigs]
        : [operation];
  return (
    !isDenied &&
    forAsker.some(
      (acl) => acl.permissionType === permissions.allow && [operations.all, ...implied].includes(acl.operation),
    )
  );
}

/** Whether some resource is allowed, real or not: all names that the patterns can tell apart are tried. */
function naiveSome(acls: readonly Acl[], asker: Asker, operation: number, type: number, open: boolean): boolean {
  const names = ["hardcode", ...acls.flatMap(({ resourceName }) => [resourceName, `${resourceName}\u0000`])];
  return names.some((name) => name !== "*" && naive(acls, asker, operation, type, name, open));
}

const names = ["a", "ab", "abc", "abd", "b", "*", "ba"];
const principals = ["User:alice", "User:bob", "User:*", "Group:alice"];
const hosts = ["10.0.0.1", "10.0.0.2", "*"];

function randomAcl(random: SimRandom): Acl {
  return {
    resourceType: random.pick([resourceTypes.topic, resourceTypes.group]),
    resourceName: random.pick(names),
    patternType: random.pick(Object.values(patternTypes)),
    principal: random.pick(principals),
    host: random.pick(hosts),
    operation: random.pick(Object.values(operations)),
    permissionType: random.pick(Object.values(permissions)),
  };
}

test(`${sets} random sets of ACLs answer as a naive evaluator`, () => {
  const seed = process.env["ACL_MODEL_SEED"] ?? "acl-model";
  const random = new SimRandom(seed);
  const differences: unknown[] = [];
  const counts = { allowed: 0, denied: 0, some: 0, none: 0 };
  for (let set = 0; set < sets; set += 1) {
    const acls = Array.from({ length: random.below(12) }, () => randomAcl(random));
    const open = random.below(2) === 0;
    const index = new AclIndex(acls, { allowsWithoutAcl: open });
    const asker = { principal: random.pick(principals.slice(0, 2)), host: random.pick(hosts.slice(0, 2)) };
    const operation = random.pick(Object.values(operations).slice(1));
    const type = random.pick([resourceTypes.topic, resourceTypes.group]);
    const name = random.pick(["a", "ab", "abcde", "b", "zz", "*x"]);
    const isAllowed = naive(acls, asker, operation, type, name, open);
    counts[isAllowed ? "allowed" : "denied"] += 1;
    const found = index.authorize(asker, operation, type, name).isAllowed;
    if (found !== isAllowed) differences.push({ acls, open, asker, operation, type, name, isAllowed });
    const isSome = naiveSome(acls, asker, operations.write, type, open);
    counts[isSome ? "some" : "none"] += 1;
    if (index.authorizesSome(asker, operations.write, type) !== isSome)
      differences.push({ acls, open, asker, type, isSome });
  }
  expect(differences.slice(0, 3), `ACL_MODEL_SEED=${seed}`).toEqual([]);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(sets / 20); // A model that knows one answer proves nothing.
});

describe("one rule at a time", () => {
  const alice = { principal: "User:alice", host: "10.0.0.1" };
  const acl = (fields: Partial<Acl>): Acl => ({
    resourceType: resourceTypes.topic,
    resourceName: "t",
    patternType: patternTypes.literal,
    principal: "User:alice",
    host: "*",
    operation: operations.read,
    permissionType: permissions.allow,
    ...fields,
  });
  const may = (acls: readonly Acl[], operation: number, name = "t", open = false): boolean =>
    new AclIndex(acls, { allowsWithoutAcl: open }).authorize(alice, operation, resourceTypes.topic, name).isAllowed;

  test("without an ACL nothing is allowed, unless the setting says so", () => {
    expect(may([], operations.read)).toBe(false);
    expect(may([], operations.read, "t", true)).toBe(true);
    expect(may([acl({ principal: "User:bob" })], operations.read, "t", true)).toBe(false);
  });

  test("one entry for all operations, all names that begin so, everybody or everywhere", () => {
    expect(may([acl({ operation: operations.all })], operations.delete)).toBe(true);
    expect(may([acl({})], operations.delete)).toBe(false);
    const prefixed = (resourceName: string): Acl => acl({ resourceName, patternType: patternTypes.prefixed });
    expect([may([prefixed("or")], operations.read, "orders"), may([prefixed("or")], operations.read, "o")]).toEqual([
      true,
      false,
    ]);
    expect(may([acl({ resourceName: "or" })], operations.read, "orders")).toBe(false);
    expect(may([acl({ resourceName: "*" })], operations.read, "orders")).toBe(true);
    expect(may([prefixed("*")], operations.read, "orders")).toBe(false);
    expect(may([acl({ host: "10.0.0.1" })], operations.read)).toBe(true);
    expect(may([acl({ host: "10.0.0.2" })], operations.read)).toBe(false);
    expect(may([acl({ host: "10.0.0.*" })], operations.read)).toBe(false);
    expect(may([acl({ principal: "User:*" })], operations.read)).toBe(true);
    expect(may([acl({ principal: "User:al*" })], operations.read)).toBe(false);
  });

  test("what is denied is denied, whichever comes first", () => {
    const deny = acl({ permissionType: permissions.deny, resourceName: "*" });
    expect(may([deny, acl({})], operations.read)).toBe(false);
    expect(may([acl({}), deny], operations.read)).toBe(false);
  });

  test("allowing to write allows to describe; denying to write does not deny it", () => {
    expect(may([acl({ operation: operations.write })], operations.describe)).toBe(true);
    const denied = acl({ operation: operations.write, permissionType: permissions.deny });
    expect(may([acl({}), denied], operations.describe)).toBe(true);
    expect(may([acl({ operation: operations.alterConfigs })], operations.describeConfigs)).toBe(true);
    expect(may([acl({ operation: operations.alterConfigs })], operations.describe)).toBe(false);
  });

  test("each of two ACLs of a resource counts", () => {
    expect(may([acl({ host: "10.0.0.2" }), acl({ host: "10.0.0.1" })], operations.read)).toBe(true);
  });
});

test("an ACL survives being a fact, and a fact that is none is corrupt", () => {
  const random = new SimRandom("acl-fact");
  for (let count = 0; count < 100; count += 1) {
    const acl = { ...randomAcl(random), resourceName: 'a"\n\u0000é' };
    expect(aclOf(aclKey(acl))).toEqual(acl);
  }
  expect(() => aclOf("[]")).toThrow(/corrupt/);
});

/** Proves: SCRAM's iterations are within Kafka's bounds, and what is kept of a password is neither it nor what a client salted. */
import { createHash, createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { scramCredentialsHandlers } from "../../../src/handlers/access/scram-credentials.ts";
import type { MetadataEvent } from "../../../src/metadata/events.ts";
import type { RequestOf } from "../../../src/protocol/api-table.ts";
import { MemoryMetadata } from "../../support/memory-metadata.ts";
import { error } from "../admin-world.ts";

type Upsertion = RequestOf<"alterUserScramCredentials">["upsertions"][number];

const saltedPassword = Buffer.alloc(32, "salted by a client ");
const usual = { name: "bob", mechanism: 1, iterations: 4096, salt: Buffer.from("salt"), saltedPassword };

async function alter(metadata: MemoryMetadata, ...upsertions: readonly Upsertion[]) {
  const { alterUserScramCredentials } = scramCredentialsHandlers({ metadata });
  const { results } = await alterUserScramCredentials({ deletions: [], upsertions });
  return results.map((each) => error(each));
}

test.each([
  [4095, "UNACCEPTABLE_CREDENTIAL"],
  [4096, "NONE"],
  [16_384, "NONE"],
  [16_385, "UNACCEPTABLE_CREDENTIAL"],
])("%i iterations: %s", async (iterations, expected) => {
  expect(await alter(new MemoryMetadata(), { ...usual, iterations })).toEqual([expected]);
});

test.each([
  ["no name", { name: "" }],
  ["no salted password", { saltedPassword: Buffer.alloc(0) }],
  ["a salted password of 1025 bytes", { saltedPassword: Buffer.alloc(1025) }],
  ["no salt", { salt: Buffer.alloc(0) }],
])("%s is refused", async (_, fields) => {
  expect(await alter(new MemoryMetadata(), { ...usual, ...fields })).toEqual(["UNACCEPTABLE_CREDENTIAL"]);
});

test("a salted password may have any length, as in Kafka", async () => {
  const changes = { mechanism: 2, saltedPassword: Buffer.from("my-salted-password") };
  expect(await alter(new MemoryMetadata(), { ...usual, ...changes })).toEqual(["NONE"]);
});

/** RFC 5802, section 3: without the salted password no proof is made of these. */
test.each([
  ["SCRAM-SHA-256", 1, "sha256", 32],
  ["SCRAM-SHA-512", 2, "sha512", 64],
] as const)("what is kept proves a password, and cannot be used as one: %s", async (name, mechanism, hash, length) => {
  const metadata = new MemoryMetadata();
  const proposed: MetadataEvent[] = [];
  metadata.onPropose = (events) => void proposed.push(...events);
  const salted = Buffer.alloc(length, "salted by a client ");
  expect(await alter(metadata, { ...usual, mechanism, saltedPassword: salted })).toEqual(["NONE"]);
  const keyed = (text: string): Buffer => createHmac(hash, salted).update(text).digest();
  const storedKey = createHash(hash).update(keyed("Client Key")).digest();
  const kept = [usual.salt, storedKey, keyed("Server Key")].map((bytes) => bytes.toString("base64"));
  const fact = { table: "scram-credentials", key: `${name}/bob`, value: [...kept, 4096].join(",") };
  expect(proposed).toEqual([{ kind: "set-facts", facts: [fact] }]);
});

test("as in Kafka a description without an error has an empty message", async () => {
  const metadata = new MemoryMetadata();
  await alter(metadata, usual);
  const { describeUserScramCredentials } = scramCredentialsHandlers({ metadata });
  expect((await describeUserScramCredentials({ users: [{ name: "bob" }] })).results).toEqual([
    { user: "bob", errorCode: 0, errorMessage: "", credentialInfos: [{ mechanism: 1, iterations: 4096 }] },
  ]);
});

test.each([
  ["both mechanisms", [usual, { ...usual, mechanism: 2, saltedPassword: Buffer.alloc(64, 1) }], "DUPLICATE_RESOURCE"],
  ["a change that is right, then one that is not", [usual, { ...usual, mechanism: 0 }], "DUPLICATE_RESOURCE"],
  ["a change that is wrong, then one that is not", [{ ...usual, mechanism: 0 }, usual], "UNSUPPORTED_SASL_MECHANISM"],
])("as in Kafka a request changes a user once: %s", async (_, upsertions, expected) => {
  const metadata = new MemoryMetadata();
  expect(await alter(metadata, ...upsertions)).toEqual([expected]);
  expect(metadata.image.facts("scram-credentials").size).toBe(0);
});

/** Proves: what was once wrong with Kafka's brokers is not wrong here, by the number under which it became known. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorName } from "../schemas/kafka/errors.ts";
import { joined } from "../src/base/bytes.ts";
import { MiB } from "../src/base/settings.ts";
import { type ApiName, apiNames, apis, type RequestInputOf, type ResponseOf } from "../src/protocol/api-table.ts";
import { compress } from "../src/protocol/compression.ts";
import { decodeRequest, encodeRequest } from "../src/protocol/frame.ts";
import { buildBatch } from "../src/protocol/records.ts";
import { heapAfterGarbage } from "./fuzz/fuzz.ts";
import { Target } from "./fuzz/target.ts";
import { configOf } from "./support/config.ts";
import { checkout } from "./support/processes.ts";

const secret = "hunter2";
const withSecrets = `
http: { token: ${secret}-http }
registry: { token: ${secret}-registry }
catalog: { token: ${secret}-catalog }
delegation: { token: { secret: ${secret}-delegation } }
sasl: { users: { alice: { password: ${secret}-password } } }
`;

let target: Target;
beforeAll(async () => {
  target = await Target.open(1, { dispatchMs: 0, dispatchApi: "", decodeMs: 0, decodedHex: "" }, withSecrets);
});
afterAll(async () => target[Symbol.asyncDispose]());

async function call<Name extends ApiName>(
  api: Name,
  body: RequestInputOf<Name>,
  version: number = apis[api].request.versions[1],
): Promise<ResponseOf<Name>> {
  const frame = joined(encodeRequest({ api, version, correlationId: 7, clientId: "test" }, body)).subarray(4);
  const taken = await target.take(frame, { worksAside: true });
  if (taken.outcome !== "answered") throw new Error(`${api}: ${taken.outcome}`);
  return taken.body as ResponseOf<Name>;
}

describe("CVE-2026-111115: tagged fields in a header", () => {
  test("twenty million of them are refused before anything is made of them", async () => {
    const bomb = new Uint8Array(30_000_000);
    bomb.set(Buffer.from("0012000300000001ffff80adc204", "hex"));
    const before = await heapAfterGarbage();
    expect(await target.take(bomb)).toEqual({ outcome: "refused" });
    expect((await heapAfterGarbage()) - before).toBeLessThan(8 * MiB);
    // By their number, before one of them is looked at.
    const limits = { served: new Set(apiNames), elementsMax: 100_000 };
    expect(() => decodeRequest(bomb, limits)).toThrow("at most 128 tagged fields");
  });
});

describe("CVE-2026-111108: arrays that grow in memory", () => {
  test("as many elements as may be take at most eight times their bytes and a MiB", async () => {
    const topics = Array.from({ length: 99_000 }, () => ({ name: null }));
    const header = { api: "metadata", version: 12, correlationId: 1, clientId: null } as const;
    const frame = joined(encodeRequest(header, { topics })).subarray(4);
    const limits = { served: new Set(apiNames), elementsMax: 100_000 };
    decodeRequest(frame, limits); // What is made once for all.
    const before = await heapAfterGarbage();
    const decoded = decodeRequest(frame, limits);
    expect((await heapAfterGarbage()) - before).toBeLessThan(8 * frame.length + MiB);
    expect(decoded.kind).toBe("request");
  });
});

test("CVE-2026-111073: telemetry is inflated within a bound", async () => {
  const { clientInstanceId, subscriptionId } = await call("getTelemetrySubscriptions", {
    clientInstanceId: "00000000-0000-0000-0000-000000000000" as never,
  });
  const metrics = compress("gzip", new Uint8Array(256 * MiB));
  const body = { clientInstanceId, subscriptionId, terminating: false, compressionType: 1, metrics };
  const { errorCode } = await call("pushTelemetry", body);
  expect(errorName(errorCode)).toBeOneOf(["INVALID_RECORD", "TELEMETRY_TOO_LARGE"]);
});

describe("CVE-2026-33557, CVE-2026-110985: tokens that nothing checks", () => {
  const listener = "listeners: { oauth: { port: 0, protocol: SASL_PLAINTEXT, mechanisms: [OAUTHBEARER] } }";
  const whole = { issuer: "https://issuer.example", audience: "[inlet]", jwks: "https://issuer.example/keys" };

  test.each(["issuer", "audience", "jwks"] as const)("without %s the broker does not start", (missing) => {
    const rest = Object.entries(whole).filter(([name]) => name !== missing);
    const oauth = rest.map(([name, value]) => `${name}: ${value.includes(":") ? `"${value}"` : value}`).join(", ");
    expect(() => configOf(`${listener}\nsasl: { oauth: { ${oauth} } }`)).toThrow("tokens nothing could check");
  });

  test("keys do not come by a way on which anybody could change them", () => {
    const oauth = 'issuer: "https://issuer.example", audience: [inlet], jwks: "http://issuer.example/keys"';
    expect(() => configOf(`${listener}\nsasl: { oauth: { ${oauth} } }`)).toThrow("must be an https URL or a path");
  });
});

describe("CVE-2025-27818, CVE-2025-27819, CVE-2023-25194: what runs is not for clients to say", () => {
  const forbidden = [
    "sasl.jaas.config",
    "sasl.oauth.jwks",
    "sasl.login.class",
    "listener.name.sasl.plain.sasl.jaas.config",
    "super.users",
    "authorizer.class.name",
  ];

  test.each(forbidden)("%s cannot be set by a request", async (name) => {
    const configs = [{ name, configOperation: 0, value: "com.sun.security.auth.module.JndiLoginModule required;" }];
    const resources = [{ resourceType: 4, resourceName: "1", configs }];
    const { responses } = await call("incrementalAlterConfigs", { resources, validateOnly: false });
    expect(errorName(responses[0]?.errorCode ?? 0)).toBeOneOf(["INVALID_CONFIG", "INVALID_REQUEST"]);
  });
});

describe("CVE-2024-31141, CVE-2019-12399: references to secrets", () => {
  test("a request's value that looks like a reference is a text, and no number", async () => {
    for (const value of [`\${env:PATH}`, `\${file:/etc/passwd}`]) {
      const configs = [{ name: "retention.ms", configOperation: 0, value }];
      const resources = [{ resourceType: 2, resourceName: "fuzz", configs }];
      const { responses } = await call("incrementalAlterConfigs", { resources, validateOnly: false });
      expect(errorName(responses[0]?.errorCode ?? 0)).toBe("INVALID_CONFIG");
      expect(responses[0]?.errorMessage ?? "").not.toMatch(/bin:|root:/);
    }
  });

  test("what describes brokers has none of the secrets that this one was given", async () => {
    const resources = ["1", ""].map((resourceName) => ({ resourceType: 4, resourceName, configurationKeys: null }));
    const { results } = await call("describeConfigs", { resources, includeSynonyms: true, includeDocumentation: true });
    expect(results.map(({ errorCode }) => errorCode)).toEqual([0, 0]);
    expect(results[0]?.configs.length).toBeGreaterThan(10);
    expect(JSON.stringify(results)).not.toContain(secret);
  });
});

test("CVE-2021-38153: secrets are compared in time that tells nothing", () => {
  const read = (name: string): string => readFileSync(join(checkout, "src", name), "utf8");
  const comparing = [
    "auth/password-hash.ts",
    "auth/scram.ts",
    "auth/delegation-token.ts",
    "server/http-token.ts",
    "table/rest-server/rest-catalog-server.ts",
  ];
  expect(comparing.filter((name) => !read(name).includes("timingSafeEqual("))).toEqual([]);
  expect(comparing.filter((name) => /\.equals\(|Buffer\.compare/.test(read(name)))).toEqual([]);
});

describe("CVE-2018-17196: a transactional batch is not let in by a request that is none", () => {
  const records = [{ timestamp: 0, key: null, value: null }];
  const plain = buildBatch({ records });
  const transactional = buildBatch({
    records,
    isTransactional: true,
    producerId: 1,
    producerEpoch: 0,
    baseSequence: 0,
  });

  async function produced(transactionalId: string | null, batches: readonly Uint8Array[]) {
    const topicData = [{ name: "fuzz", partitionData: batches.map((batch, index) => ({ index, records: batch })) }];
    const { responses } = await call("produce", { transactionalId, acks: -1, timeoutMs: 1_000, topicData }, 12);
    return responses[0]?.partitionResponses.map(({ errorCode }) => errorName(errorCode));
  }

  test("whatever else the request holds", async () => {
    const denied = "TRANSACTIONAL_ID_AUTHORIZATION_FAILED";
    expect(await produced(null, [transactional])).toEqual([denied]);
    expect(await produced(null, [plain, transactional])).toEqual([denied, denied]);
  });

  test("nor behind another batch", async () => {
    expect(await produced(null, [joined([plain, transactional])])).toEqual(["INVALID_RECORD"]);
  });

  test("nor under the id of another's transactions", async () => {
    expect(await produced("somebody-else's", [transactional])).not.toEqual(["NONE"]);
  });
});

describe("CVE-2018-1288: nobody acts as a broker", () => {
  test("a fetch that says it is a replica's is refused", async () => {
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }];
    const body = { replicaId: 1, maxWaitMs: 0, minBytes: 0, topics: [{ topic: "fuzz", partitions }] };
    const { responses } = await call("fetch", body, 12);
    expect(errorName(responses[0]?.partitions[0]?.errorCode ?? 0)).toBe("TOPIC_AUTHORIZATION_FAILED");
  });

  test("what brokers and controllers ask each other is not decoded", () => {
    // LeaderAndIsr, StopReplica, UpdateMetadata, ControlledShutdown; Vote to AlterPartition; Envelope to AllocateProducerIds.
    for (const key of [4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82]) {
      const frame = Buffer.alloc(64);
      frame.writeInt16BE(key);
      const limits = { served: new Set(apiNames), elementsMax: 100 };
      expect(decodeRequest(frame, limits)).toMatchObject({ kind: "unsupported" });
    }
  });
});

test("CVE-2026-10143: iterations that would keep a client's event loop are neither kept nor told", async () => {
  const upsertion = { name: "mallory", mechanism: 1, salt: Buffer.from("salt"), saltedPassword: new Uint8Array(32) };
  const upsertions = [{ ...upsertion, iterations: 2 ** 31 - 1 }];
  const { results } = await call("alterUserScramCredentials", { deletions: [], upsertions });
  expect(results.map(({ errorCode }) => errorName(errorCode))).toEqual(["UNACCEPTABLE_CREDENTIAL"]);
  const users = [{ name: "mallory" }];
  const { results: described } = await call("describeUserScramCredentials", { users });
  expect(described[0]?.credentialInfos).toEqual([]);
});

describe("what stopped other brokers and clients", () => {
  /** Null where an array or a text must be, or as much as there is no room for: of a plain version, of a flexible one. */
  const fillings = { "a length of -1": "ffffffff", "a null of flexible versions": "00", "all that can be": "7fffffff" };

  test.each(Object.entries(fillings))("of every API and version: %s", { timeout: 60_000 }, async (_, filling) => {
    const before = await heapAfterGarbage();
    let taken = 0;
    for (const api of apiNames) {
      const [min, max] = apis[api].request.versions;
      for (let version = min; version <= max; version += 1) {
        const body = Buffer.alloc(64, filling, "hex");
        const header = Buffer.from("00000000000000070000", "hex");
        header.writeInt16BE(apis[api].key, 0);
        header.writeInt16BE(version, 2);
        await target.take(joined([header, body])); // Throws where the broker stops, or does not answer.
        taken += 1;
      }
    }
    expect(taken).toBeGreaterThan(200);
    expect((await heapAfterGarbage()) - before).toBeLessThan(64 * MiB);
  });
});

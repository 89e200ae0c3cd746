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

let target: Target;
beforeAll(async () => {
  target = await Target.open(1, { dispatchMs: 0, dispatchApi: "", decodeMs: 0, decodedHex: "" });
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
    const before = heapAfterGarbage();
    expect(await target.take(bomb)).toEqual({ outcome: "refused" });
    expect(heapAfterGarbage() - before).toBeLessThan(8 * MiB);
  });
});

describe("CVE-2026-111108: arrays that grow in memory", () => {
  test("as many elements as may be take at most eight times their bytes and a MiB", () => {
    const topics = Array.from({ length: 99_000 }, () => ({ name: null }));
    const header = { api: "metadata", version: 12, correlationId: 1, clientId: null } as const;
    const frame = joined(encodeRequest(header, { topics })).subarray(4);
    const limits = { served: new Set(apiNames), elementsMax: 100_000 };
    decodeRequest(frame, limits); // What is made once for all.
    const before = heapAfterGarbage();
    const decoded = decodeRequest(frame, limits);
    expect(heapAfterGarbage() - before).toBeLessThan(8 * frame.length + MiB);
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

  test("a broker's description has no secret", async () => {
    const resources = [{ resourceType: 4, resourceName: "1", configurationKeys: null }];
    const { results } = await call("describeConfigs", { resources });
    const [described] = results;
    expect(described?.configs.length).toBeGreaterThan(10);
    const secrets = described?.configs.filter(({ name }) => /secret|password$|\.key$/.test(name)) ?? [];
    expect(secrets.filter(({ value, isSensitive }) => value !== null && value !== "" && !isSensitive)).toEqual([]);
  });
});

test("CVE-2021-38153: secrets are compared in time that tells nothing", () => {
  const read = (name: string): string => readFileSync(join(checkout, "src/auth", name), "utf8");
  const comparing = ["password-hash.ts", "scram.ts", "delegation-token.ts"];
  expect(comparing.filter((name) => !read(name).includes("timingSafeEqual("))).toEqual([]);
  expect(comparing.filter((name) => /\.equals\(|Buffer\.compare/.test(read(name)))).toEqual([]);
});

test("CVE-2018-17196: a transactional batch is not let in by a request that is none", async () => {
  const records = buildBatch({
    records: [{ timestamp: 0, key: null, value: null }],
    isTransactional: true,
    producerId: 1,
    producerEpoch: 0,
    baseSequence: 0,
  });
  const topicData = [{ name: "fuzz", partitionData: [{ index: 0, records }] }];
  for (const transactionalId of [null, "somebody-else's"]) {
    const answer = await call("produce", { transactionalId, acks: -1, timeoutMs: 1_000, topicData }, 12);
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).not.toBe(0);
  }
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

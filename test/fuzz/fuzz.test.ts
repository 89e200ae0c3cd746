/** Proves: no frame stops a broker, stays without an answer, holds the event loop or memory, before authentication and after it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorCode } from "../../schemas/kafka/errors.ts";
import { joined } from "../../src/base/bytes.ts";
import { MiB } from "../../src/base/settings.ts";
import { type Broker, openBroker } from "../../src/broker.ts";
import { encodeRequest } from "../../src/protocol/frame.ts";
import { configOf, inProcess } from "../support/config.ts";
import { authenticatePlain, connectTo } from "../support/sasl-client.ts";
import { seededRandom } from "../support/seeded.ts";
import { frames } from "./frames.ts";
import { fuzz, heapAfterGarbage } from "./fuzz.ts";
import { vocabulary } from "./hostile.ts";
import { bomb } from "./records.ts";
import { Target } from "./target.ts";

const seed = Date.now() % 1_000_000;

test("frames of a fresh seed", { timeout: 120_000 }, async () => {
  const report = await fuzz({ frames: 20_000, seed });
  expect(report.outcomes["answered"], `seed ${seed}`).toBeGreaterThan(1_000);
  expect(report.outcomes["refused"], `seed ${seed}`).toBeGreaterThan(1_000);
});

test("a name as long as a name may be is quoted in part", async () => {
  const slowest = { dispatchMs: 0, dispatchApi: "", decodeMs: 0, decodedHex: "" };
  await using target = await Target.open(seed, slowest);
  const name = "y".repeat(32_767);
  const header = { api: "describeUserScramCredentials", version: 0, correlationId: 7, clientId: null } as const;
  const frame = encodeRequest(header, { users: [{ name }, { name }] });
  expect((await target.take(joined(frame).subarray(4))).outcome).toBe("answered");
});

test("an offset may be kept for as long as a client can say", async () => {
  const slowest = { dispatchMs: 0, dispatchApi: "", decodeMs: 0, decodedHex: "" };
  await using target = await Target.open(seed, slowest);
  const header = { api: "offsetCommit", version: 3, correlationId: 7, clientId: null } as const;
  const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }];
  const body = {
    groupId: "g",
    memberId: "",
    retentionTimeMs: Number.MAX_SAFE_INTEGER,
    topics: [{ name: "fuzz", partitions }],
  };
  const frame = joined(encodeRequest(header, body)).subarray(4);
  expect((await target.take(frame)).body).toMatchObject({
    topics: [{ partitions: [{ errorCode: expect.any(Number) }] }],
  });
});

describe("compressed bombs inside Produce", () => {
  test.each(["gzip", "snappy", "lz4", "zstd"] as const)(
    "%s is refused by its name, and costs the event loop little",
    async (compression) => {
      const slowest = { dispatchMs: 0, dispatchApi: "", decodeMs: 0, decodedHex: "" };
      await using target = await Target.open(seed, slowest);
      const records = bomb(compression, 80 * MiB);
      expect(records.length).toBeLessThan(5 * MiB);
      const topicData = [{ name: "fuzz", partitionData: [{ index: 0, records }] }];
      const frame = encodeRequest(
        { api: "produce", version: 12, correlationId: 7, clientId: null },
        { acks: -1, timeoutMs: 1_000, topicData },
      );
      const { body } = await target.take(joined(frame).subarray(4), { worksAside: true });
      expect(body).toMatchObject({
        responses: [
          {
            partitionResponses: [
              {
                errorCode: expect.toBeOneOf([
                  errorCode.CORRUPT_MESSAGE,
                  errorCode.MESSAGE_TOO_LARGE,
                  errorCode.INVALID_RECORD,
                ]),
              },
            ],
          },
        ],
      });
      expect(slowest.dispatchMs).toBeLessThan(50);
    },
  );
});

describe("a real listener, before anybody has authenticated", () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-fuzz-"));
  let broker: Broker;
  const config = `
listeners:
  sasl: { port: 0, protocol: SASL_PLAINTEXT, mechanisms: [PLAIN, SCRAM-SHA-256], allow_plain_without_tls: true }
sasl: { users: { alice: { password: secret } } }
`;
  const settings = {
    ...inProcess(directory),
    "authentication-failed-delay-ms": "1",
    "kafka-connections-per-second-max": "10000",
  };

  beforeAll(async () => {
    broker = await openBroker(configOf(config, settings));
  }, 30_000);
  afterAll(async () => {
    await broker?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });
  const connected = () => connectTo(broker.addresses.listeners.get("sasl") as string);

  test("ends with whatever is no part of an authentication, and goes on for the others", async () => {
    const random = seededRandom(seed);
    const words = vocabulary({ topic: "t", topicId: "00000000-0000-0000-0000-000000000000" as never, group: "g" });
    const source = frames(random, words);
    let answered = 0;
    let ended = 0;
    for (let attempt = 0; attempt < 300; attempt += 1) {
      await using client = await connected();
      const isBare = attempt % 3 === 0;
      if (attempt % 3 !== 1) await client.call("saslHandshake", isBare ? 0 : 1, { mechanism: "SCRAM-SHA-256" });
      const { value: frame } = source.next() as { readonly value: { readonly bytes: Uint8Array } };
      const length = Buffer.alloc(4);
      length.writeInt32BE(frame.bytes.length);
      client.socket.end(joined([length, frame.bytes]));
      await client.frame().then(
        () => (answered += 1),
        () => (ended += 1),
      );
    }
    expect(answered + ended, `seed ${seed}`).toBe(300);
    expect(ended, `seed ${seed}`).toBeGreaterThan(100);
    await using honest = await connected();
    expect(await authenticatePlain(honest, "alice", "secret")).toMatchObject({ errorCode: 0 });
  });

  test("lengths that are never filled take no memory (CVE-2022-34917)", async () => {
    const before = await heapAfterGarbage();
    const clients = await Promise.all(Array.from({ length: 300 }, connected));
    for (const client of clients) client.send(Buffer.from("0007ffff00120003", "hex"));
    await using honest = await connected();
    await authenticatePlain(honest, "alice", "secret");
    expect((await heapAfterGarbage()) - before).toBeLessThan(64 * MiB);
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  });
});

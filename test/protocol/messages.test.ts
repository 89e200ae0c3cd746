/** Proves: every message survives a round trip in every version, and garbage in its place gives a value or CorruptData. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as consumerProtocol from "../../schemas/kafka/consumer-protocol.ts";
import * as controlRecords from "../../schemas/kafka/control-records.ts";
import { errorCode, errorName, kafkaErrors } from "../../schemas/kafka/errors.ts";
import * as offsetsTopic from "../../schemas/kafka/offsets-topic.ts";
import * as transactionsTopic from "../../schemas/kafka/transactions-topic.ts";
import type { Message } from "../../src/base/codec.ts";
import { CorruptData } from "../../src/base/errors.ts";
import { advertised, apiNames, apis } from "../../src/protocol/api-table.ts";
import { decodeVersioned, encodeVersioned, versionOf } from "../../src/protocol/versioned.ts";
import { arbitraryMessage } from "../base/message-arbitrary.ts";

type AnyMessage = Message<unknown>;

const isMessage = (value: unknown): value is AnyMessage =>
  typeof value === "object" && value !== null && "versions" in value && "shape" in value;

const messages: readonly AnyMessage[] = [
  ...apiNames.flatMap((name) => [apis[name].request as AnyMessage, apis[name].response as AnyMessage]),
  ...[consumerProtocol, offsetsTopic, transactionsTopic, controlRecords].flatMap((module) =>
    Object.values(module).filter(isMessage),
  ),
];

const versionsOf = ({ versions: [min, max] }: AnyMessage): readonly number[] =>
  Array.from({ length: max - min + 1 }, (_, i) => min + i);

const cases = messages.flatMap((message) => versionsOf(message).map((version) => ({ message, version })));

test("all messages of the table are looked at", () => {
  expect(messages.length).toBe(2 * apiNames.length + 10);
  expect(cases.length).toBeGreaterThan(300);
});

describe("every message in every version", () => {
  test.each(messages.map((message) => [message.name, message] as const))("%s", (_name, message) => {
    for (const version of versionsOf(message)) {
      fc.assert(
        fc.property(arbitraryMessage(message.shape, version), (value) => {
          expect(message.decode(message.encode(value, version), version)).toEqual(value);
        }),
        { numRuns: 30 },
      );
    }
  });

  test("mutated and truncated bytes", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...cases).chain(({ message, version }) =>
          fc.record({
            message: fc.constant(message),
            version: fc.constant(version),
            value: arbitraryMessage(message.shape, version),
            edits: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }),
            kept: fc.double({ min: 0.5, max: 1, noNaN: true }),
          }),
        ),
        ({ message, version, value, edits, kept }) => {
          const bytes = Uint8Array.from(message.encode(value, version));
          for (const [at, byte] of edits) bytes[at % Math.max(1, bytes.length)] = byte;
          valueOrCorrupt(() => message.decode(bytes.subarray(0, Math.ceil(bytes.length * kept)), version));
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("random bytes", () => {
    fc.assert(
      fc.property(fc.constantFrom(...cases), fc.uint8Array({ maxLength: 400 }), ({ message, version }, bytes) =>
        valueOrCorrupt(() => message.decode(bytes, version)),
      ),
      { numRuns: 5000 },
    );
  });
});

describe("what ApiVersions says", () => {
  test("only what has a handler, in key order", () => {
    expect(advertised(["metadata", "fetch"])).toEqual([
      { apiKey: 1, minVersion: 4, maxVersion: 18 },
      { apiKey: 3, minVersion: 0, maxVersion: 13 },
    ]);
  });

  test("produce from 0, initProducerId to 5", () => {
    expect(advertised(["produce", "initProducerId"])).toEqual([
      { apiKey: 0, minVersion: 0, maxVersion: 13 },
      { apiKey: 22, minVersion: 0, maxVersion: 5 },
    ]);
  });
});

describe("messages that carry their version", () => {
  const subscription = consumerProtocol.consumerProtocolSubscription;

  test("a newer version is read as the newest known one only where that is promised", () => {
    const newest = encodeVersioned(subscription, 3, { topics: ["a"], rackId: "r" });
    const newer = Uint8Array.from([...newest, 1, 2, 3]);
    newer[1] = 9;
    expect(versionOf(newer)).toBe(9);
    expect(decodeVersioned(subscription, newer, "newer-appends")).toEqual(decodeVersioned(subscription, newest));
    expect(() => decodeVersioned(subscription, newer)).toThrow(CorruptData);
    expect(() => decodeVersioned(subscription, Uint8Array.from([...newest, 0]))).toThrow(CorruptData);
  });

  test("keys of the offsets topic say what they are", () => {
    const key = encodeVersioned(offsetsTopic.offsetCommitKey, 1, { group: "g", topic: "t", partition: 2 });
    expect(Buffer.from(key).toString("hex")).toBe("0001000167000174 00000002".replace(" ", ""));
    expect(versionOf(encodeVersioned(offsetsTopic.groupMetadataKey, 2, { group: "g" }))).toBe(2);
  });
});

test("error codes have no holes and each its own name", () => {
  const codes = Object.values(kafkaErrors).map(({ code }) => code);
  expect(codes).toEqual(Array.from({ length: codes.length }, (_, i) => i - 1));
  expect(errorName(errorCode.REBALANCE_IN_PROGRESS)).toBe("REBALANCE_IN_PROGRESS");
  expect(errorName(9999)).toBeUndefined();
});

function valueOrCorrupt(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(CorruptData);
  }
}

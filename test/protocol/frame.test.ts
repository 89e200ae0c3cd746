/** Proves: headers have the form that their version asks for, and a frame that nobody serves is told apart from a bad one. */
import { describe, expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { CorruptData } from "../../src/base/errors.ts";
import { apiNames } from "../../src/protocol/api-table.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeApiVersionsFallback,
  encodeRequest,
  encodeResponse,
} from "../../src/protocol/frame.ts";

const served = new Set(apiNames);
const limits = { served, elementsMax: 100_000 };
const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");
const hexOf = (views: readonly Uint8Array[]): string => Buffer.from(joined(views)).toString("hex");
const withoutLength = (views: readonly Uint8Array[]): Uint8Array => joined(views).subarray(4);

describe("request headers", () => {
  test("header 1 before flexible versions", () => {
    const views = encodeRequest(
      { api: "heartbeat", version: 0, correlationId: 7, clientId: "me" },
      { groupId: "g", generationId: 1, memberId: "m" },
    );
    expect(hexOf(views)).toBe("00000016 000c 0000 00000007 0002 6d65 0001 67 00000001 0001 6d".replaceAll(" ", ""));
  });

  test("header 2 has tags, and a client id that is not compact", () => {
    const body = { groupId: "g", generationId: 1, memberId: "m", groupInstanceId: null };
    const header = { api: "heartbeat", version: 4, correlationId: 7, clientId: "me" } as const;
    const views = encodeRequest(header, body);
    expect(hexOf(views)).toBe("00000017 000c 0004 00000007 0002 6d65 00 0267 00000001 026d 00 00".replaceAll(" ", ""));
    expect(decodeRequest(withoutLength(views), limits)).toEqual({ kind: "request", request: { ...header, body } });
  });

  test("no client id, and unknown tags in the header", () => {
    const frame = hex("0012 0003 00000009 ffff 02 00 01 aa 05 00 02 61 02 62 00");
    expect(decodeRequest(frame, limits)).toEqual({
      kind: "request",
      request: {
        api: "apiVersions",
        version: 3,
        correlationId: 9,
        clientId: null,
        body: { clientSoftwareName: "a", clientSoftwareVersion: "b" },
      },
    });
  });
});

test("bytes after the body are not looked at: librdkafka 2.15 asks for all topics with three too many", () => {
  expect(decodeRequest(hex("0003 000d 00000003 0001 63 00 00 00 00 00 010000"), limits)).toEqual({
    kind: "request",
    request: {
      api: "metadata",
      version: 13,
      correlationId: 3,
      clientId: "c",
      body: {
        topics: null,
        allowAutoTopicCreation: false,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      },
    },
  });
});

describe("what is not served", () => {
  test("unknown keys, unserved keys and versions out of range are not decoded", () => {
    expect(decodeRequest(hex("03e7 0000 00000001"), limits)).toEqual({ kind: "unsupported", key: 999, version: 0 });
    expect(decodeRequest(hex("0000 0002 00000001"), limits)).toEqual({ kind: "unsupported", key: 0, version: 2 });
    const none = { served: new Set<never>(), elementsMax: 1 };
    expect(decodeRequest(hex("0003 0000 00000001 ffff 00000000"), none).kind).toBe("unsupported");
  });

  test("ApiVersions of any version is answered, whatever its body is", () => {
    expect(decodeRequest(hex("0012 7fff 00000005 ff"), limits)).toEqual({
      kind: "unsupported-api-versions",
      correlationId: 5,
    });
    expect(hexOf(encodeApiVersionsFallback(5))).toBe(
      "00000010 00000005 0023 00000001 0012 0000 0004".replaceAll(" ", ""),
    );
  });

  test("a header cut short, a body cut short, a string longer than the frame: corrupt", () => {
    for (const frame of ["", "0012", "0012 0000 00000001 7fff 61", "000c 0000 00000007 ffff 0001 67 00000001 0001"])
      expect(() => decodeRequest(hex(frame), limits)).toThrow(CorruptData);
  });

  test("twenty million tags in the header are refused after the count (CVE-2026-111115)", () => {
    const bomb = new Uint8Array(30_000_000);
    bomb.set(hex("0012 0003 00000001 ffff 80adc204"));
    expect(() => decodeRequest(bomb, limits)).toThrow("at most 128 tagged fields");
  });

  test("an array of two million empty structs is refused by the element budget (CVE-2026-111108)", () => {
    const count = 2_000_000;
    const frame = new Uint8Array(30 + count * 20);
    frame.set(hex("0016 0000"));
    const metadata = hex("0003 000c 00000001 ffff 00 81897a"); // 2,000,000 topics of a null name and an id each.
    frame.set(metadata);
    expect(() => decodeRequest(frame, limits)).toThrow("at most 100000 more elements");
  });
});

describe("responses", () => {
  test("header 0, then header 1 in flexible versions", () => {
    const header = { api: "heartbeat", correlationId: 7 } as const;
    expect(hexOf(encodeResponse({ ...header, version: 3 }, { errorCode: 27 }))).toBe(
      "0000000a 00000007 00000000 001b".replaceAll(" ", ""),
    );
    expect(hexOf(encodeResponse({ ...header, version: 4 }, { errorCode: 27 }))).toBe(
      "0000000c 00000007 00 00000000 001b 00".replaceAll(" ", ""),
    );
  });

  test("ApiVersions keeps header 0 when its body is flexible", () => {
    const views = encodeResponse({ api: "apiVersions", version: 3, correlationId: 1 }, { errorCode: 0, apiKeys: [] });
    expect(hexOf(views)).toBe("0000000c 00000001 0000 01 00000000 00".replaceAll(" ", ""));
    expect(decodeResponse(withoutLength(views), "apiVersions", 3).body.apiKeys).toEqual([]);
  });

  test("records are in the views by reference", () => {
    const batch = new Uint8Array(5000).fill(1);
    const partition = {
      partitionIndex: 0,
      errorCode: 0,
      highWatermark: 1,
      abortedTransactions: null,
      records: [batch, batch],
    };
    const views = encodeResponse(
      { api: "fetch", version: 12, correlationId: 1 },
      { responses: [{ topic: "t", partitions: [partition] }] },
    );
    expect(views.filter((view) => view === batch)).toHaveLength(2);
    const decoded = decodeResponse(withoutLength(views), "fetch", 12);
    expect(decoded.body.responses[0]?.partitions[0]?.records?.[0]).toHaveLength(10_000);
  });
});

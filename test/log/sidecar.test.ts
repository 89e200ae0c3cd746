/** Proves: a sidecar and a label come back as they were written, and strange bytes throw only CorruptData. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { CorruptData } from "../../src/base/errors.ts";
import type { Offset, Uuid } from "../../src/base/ids.ts";
import { newProducer } from "../../src/log/producer-state.ts";
import { decodeSidecar, encodeSidecar } from "../../src/log/sidecar.ts";
import { decodeStreamLabel, encodeStreamLabel } from "../../src/log/stream-label.ts";

const offset = fc.nat({ max: Number.MAX_SAFE_INTEGER }).map((value) => value as Offset);
const batch = fc.tuple(fc.nat(), fc.nat(), offset, fc.integer({ min: -1, max: 4e15 }));
const producer = fc
  .record({
    producerId: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    epoch: fc.integer({ min: -1, max: 32767 }),
    coordinatorEpoch: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
    lastTimestamp: fc.integer({ min: -1, max: 4e15 }),
    touchedAtMs: fc.nat({ max: 4e15 }),
    transactionStart: fc.oneof(fc.constant(-1), offset),
    batches: fc.array(batch, { maxLength: 7 }),
  })
  .map(({ batches, ...fields }) => {
    const entry = { ...newProducer(fields.producerId), ...fields };
    for (const each of batches) entry.window.add(...each);
    return entry;
  });
const sidecar = fc.record({
  upTo: offset,
  epochs: fc.array(fc.record({ epoch: fc.nat(), start: offset }), { maxLength: 5 }),
  aborted: fc.array(fc.record({ producerId: fc.nat(), firstOffset: offset, lastOffset: offset, lastStable: offset }), {
    maxLength: 5,
  }),
  producers: fc.array(producer, { maxLength: 5 }),
  cleaning: fc.record({ cleanedTo: offset, horizonMs: fc.nat({ max: 4e15 }) }),
});

function plain(decoded: ReturnType<typeof decodeSidecar>): unknown {
  const producers = decoded.producers.map(({ window, ...entry }) => ({ ...entry, window: [...window.batches()] }));
  return { ...decoded, producers };
}

test("round trip", () => {
  fc.assert(
    fc.property(sidecar, (value) => {
      expect(plain(decodeSidecar(encodeSidecar(value)))).toEqual(plain(value));
    }),
  );
});

test("any change or cut throws CorruptData or gives a value", () => {
  fc.assert(
    fc.property(sidecar, fc.nat(), fc.nat({ max: 255 }), fc.boolean(), (value, position, byte, isCut) => {
      const bytes = Uint8Array.from(encodeSidecar(value));
      const at = position % bytes.length;
      bytes[at] = byte;
      try {
        decodeSidecar(isCut ? bytes.subarray(0, at) : bytes);
      } catch (cause) {
        expect(cause).toBeInstanceOf(CorruptData);
      }
    }),
    { numRuns: 500 },
  );
});

test("the layout does not change by accident", () => {
  const entry = { ...newProducer(300), epoch: 1, lastTimestamp: 5, touchedAtMs: 6 };
  entry.window.add(10, 2, 40, 5);
  const bytes = encodeSidecar({
    upTo: 43 as Offset,
    epochs: [{ epoch: 3, start: 0 as Offset }],
    aborted: [{ producerId: 2, firstOffset: 1 as Offset, lastOffset: 4 as Offset, lastStable: 5 as Offset }],
    producers: [entry],
    cleaning: { cleanedTo: 20 as Offset, horizonMs: 7 },
  });
  expect(Buffer.from(bytes).toString("hex")).toBe("0256010600010402080a01d80402010a0c01011404500a280e");
  const first = Buffer.from("0156010600010402080a01d80402010a0c01011404500a", "hex"); // Without cleaning.
  expect(decodeSidecar(first)).toMatchObject({ upTo: 43, cleaning: { cleanedTo: 0, horizonMs: 0 } });
});

test("a label says which partition a stream is", () => {
  const label = { topicId: "11111111-2222-4333-8444-555555555555" as Uuid, partition: 7, topic: "größe" };
  expect(decodeStreamLabel(encodeStreamLabel(label))).toEqual(label);
  expect(() => decodeStreamLabel(new Uint8Array([9]))).toThrow(CorruptData);
});

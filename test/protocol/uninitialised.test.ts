/** Proves: memory that was somebody else's before goes nowhere: what is written is the same, whatever lay there. */
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import type { Message } from "../../src/base/codec.ts";
import { Slabs } from "../../src/base/slabs.ts";
import { apiNames, apis } from "../../src/protocol/api-table.ts";
import { encodeRequest } from "../../src/protocol/frame.ts";
import { compressions } from "../../src/protocol/record-batch.ts";
import { buildBatch } from "../../src/protocol/records.ts";
import { arbitraryMessage } from "../base/message-arbitrary.ts";

afterEach(() => vi.restoreAllMocks());

/** Every buffer that nobody has written begins as this byte. */
function poisoned<T>(poison: number, work: () => T): T {
  for (const name of ["allocUnsafe", "allocUnsafeSlow"] as const)
    vi.spyOn(Buffer, name).mockImplementation((size) => Buffer.alloc(size, poison));
  try {
    return work();
  } finally {
    vi.restoreAllMocks();
  }
}

function isTheSame(write: () => Uint8Array): void {
  const [one, other] = [0xaa, 0x55].map((poison) => Buffer.from(poisoned(poison, write)).toString("hex"));
  expect(one).toBe(other);
}

test.each(apiNames)("answers and requests of %s", (api) => {
  for (const side of ["request", "response"] as const) {
    const message = apis[api][side] as Message<unknown>;
    for (const version of new Set(message.versions)) {
      const [value] = fc.sample(arbitraryMessage(message.shape, version), { numRuns: 1, seed: version + 1 });
      isTheSame(() => message.encode(value, version));
      if (side === "request")
        isTheSame(() => joined(encodeRequest({ api, version, correlationId: 1, clientId: "c" }, value as never)));
    }
  }
});

test.each(compressions)("record batches, %s", (compression) => {
  const records = [1, 2, 3].map((timestamp) => ({ timestamp, key: Buffer.from("k"), value: Buffer.alloc(999, "v") }));
  isTheSame(() => buildBatch({ records, compression }));
});

test("a copy in a slab is as long as what was copied", () => {
  isTheSame(() => new Slabs().copy(Buffer.from("some bytes")));
});

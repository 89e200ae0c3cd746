/** Record batches that no client means well with: sound ones, bent ones, and bombs. */
import { crc32c } from "@node-rs/crc32";
import type { Random } from "../../src/base/runtime.ts";
import { compress } from "../../src/protocol/compression.ts";
import { batchHeaderBytes, type Compression, compressions, encodeBatch } from "../../src/protocol/record-batch.ts";
import { buildBatch } from "../../src/protocol/records.ts";

type Make = (random: Random) => Uint8Array;

function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random.unit() * list.length)] as T;
}

function batch(random: Random): Uint8Array {
  return buildBatch({
    records: Array.from({ length: 1 + Math.floor(random.unit() * 3) }, (_, at) => ({
      timestamp: pick(random, [0, 1_700_000_000_000 + at]),
      key: random.unit() < 0.3 ? null : Buffer.from("key"),
      value: Buffer.from("value"),
    })),
    compression: pick(random, compressions),
    isTransactional: random.unit() < 0.1,
    isControl: random.unit() < 0.1,
    producerId: pick(random, [-1, -1, 0, 1, Number.MAX_SAFE_INTEGER]),
    producerEpoch: pick(random, [-1, 0, 1, 0x7fff]),
    baseSequence: pick(random, [-1, 0, 1, 0x7fff_ffff]),
  });
}

/** A byte is wrong, and the checksum is right all the same: it gets as far as a client's own bug would. */
function bent(random: Random): Uint8Array {
  const bytes = Uint8Array.from(batch(random));
  const at = Math.floor(random.unit() * bytes.length);
  bytes[at] = pick(random, [0, 0x7f, 0x80, 0xff]);
  if (bytes.length > 21) new DataView(bytes.buffer).setUint32(17, crc32c(bytes.subarray(21)));
  return bytes;
}

function cut(random: Random): Uint8Array {
  const bytes = batch(random);
  return bytes.subarray(0, Math.floor(random.unit() * bytes.length));
}

function noise(random: Random): Uint8Array {
  return random.fill(new Uint8Array(Math.floor(random.unit() * 2 * batchHeaderBytes)));
}

const makers: readonly Make[] = [batch, batch, batch, bent, bent, cut, noise, () => new Uint8Array(0)];

export function hostileRecords(random: Random): Uint8Array {
  return pick(random, makers)(random);
}

/** As many zeros as it says, whose compressed form is a thousandth of it, announced as one record. */
export function bomb(compression: Exclude<Compression, "none">, inflatedBytes: number): Uint8Array {
  return encodeBatch({
    baseOffset: 0 as never,
    leaderEpoch: -1,
    compression,
    timestampType: "create",
    isTransactional: false,
    isControl: false,
    hasDeleteHorizon: false,
    lastOffsetDelta: 0,
    baseTimestamp: 0,
    maxTimestamp: 0,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordCount: 1,
    records: compress(compression, new Uint8Array(inflatedBytes)),
  });
}

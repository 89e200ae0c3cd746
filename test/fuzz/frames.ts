/**
 * Frames for a broker to survive, without their length: golden ones of stock clients mutated, requests of every API and version with
 * hostile values (and those mutated), bombs of lengths and tags, and garbage. A seed decides them all.
 */
import { readFileSync } from "node:fs";
import { joined } from "../../src/base/bytes.ts";
import type { Message } from "../../src/base/codec.ts";
import { assert } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/runtime.ts";
import { type ApiName, apiNames, apis } from "../../src/protocol/api-table.ts";
import { encodeRequest } from "../../src/protocol/frame.ts";
import { below, hostileValue, pick, type Vocabulary } from "./hostile.ts";

export type FrameKind = "golden" | "structured" | "mutated" | "bomb" | "garbage";

export interface Frame {
  readonly kind: FrameKind;
  readonly bytes: Uint8Array;
}

const golden = (
  JSON.parse(readFileSync(new URL("../protocol/golden/requests.json", import.meta.url), "utf8")) as readonly {
    readonly frame: string;
  }[]
).map(({ frame }) => Buffer.from(frame, "hex"));

export function* frames(random: Random, words: Vocabulary): Generator<Frame> {
  for (;;) {
    const dice = random.unit();
    if (dice < 0.25) yield { kind: "golden", bytes: mutated(pick(random, golden), random) };
    else if (dice < 0.4) yield { kind: "structured", bytes: structured(random, words) };
    else if (dice < 0.75) yield { kind: "mutated", bytes: mutated(structured(random, words), random) };
    else if (dice < 0.85) yield { kind: "bomb", bytes: bombFrame(random) };
    else yield { kind: "garbage", bytes: garbage(random) };
  }
}

/** Some version of some API, its header sound. */
export function structured(random: Random, words: Vocabulary, api: ApiName = pick(random, apiNames)): Uint8Array {
  const message = apis[api].request as Message<unknown>;
  const [min, max] = message.versions;
  const version = random.unit() < 0.5 ? max : min + below(random, max - min + 1);
  const clientId = random.unit() < 0.2 ? null : "fuzz";
  const body = hostileValue(message.shape, version, random, words) as never;
  return joined(encodeRequest({ api, version, correlationId: 7, clientId }, body)).subarray(4);
}

const hostileInts = [-1, -2, 0, 1, 0x7f, 0x7fff, 0x7fff_ffff, -0x8000_0000, 100_000, 0x0100_0000];
/** Varints: 2^32 - 1, one that never ends, a count of two thousand million, 129 (one tag too many). */
const hostileVarints = ["ffffffff0f", "ffffffffffffffffff", "ffffffff07", "8101"].map((hex) => Buffer.from(hex, "hex"));

function mutated(frame: Uint8Array, random: Random): Uint8Array {
  let bytes = Uint8Array.from(frame);
  for (let left = 1 + below(random, 3); left > 0 && bytes.length > 0; left -= 1) bytes = mutatedOnce(bytes, random);
  return bytes;
}

function mutatedOnce(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const at = below(random, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (below(random, 7)) {
    case 0:
      view.setUint8(at, view.getUint8(at) ^ (1 << below(random, 8)));
      return bytes;
    case 1:
      if (at + 4 <= bytes.length) view.setInt32(at, pick(random, hostileInts));
      return bytes;
    case 2:
      if (at + 2 <= bytes.length) view.setInt16(at, pick(random, [-1, -2, 0, 0x7fff, -0x8000]));
      return bytes;
    case 3:
      bytes.set(pick(random, hostileVarints).subarray(0, bytes.length - at), at);
      return bytes;
    case 4:
      return bytes.slice(0, at);
    case 5:
      return Uint8Array.from(joined([bytes.subarray(0, at), bytes.subarray(at >> 1, at), bytes.subarray(at)]));
    default:
      return Uint8Array.from(joined([bytes.subarray(0, at), pick(random, hostileVarints), bytes.subarray(at)]));
  }
}

/** A header with a sound beginning, and then a count or a length that lies, as far as it can reach. */
function bombFrame(random: Random): Uint8Array {
  const api = pick(random, apiNames);
  const message = apis[api].request as Message<unknown>;
  const version = message.versions[below(random, 2)] as number;
  const isFlexible = message.flexible !== undefined && version >= message.flexible;
  const header = Buffer.alloc(10);
  header.writeInt16BE(apis[api].key, 0);
  header.writeInt16BE(version, 2);
  header.writeInt16BE(random.unit() < 0.9 ? -1 : 0x7fff, 8);
  const length = random.unit() < 0.01 ? 64 * 1024 : below(random, 64);
  const filling = Buffer.alloc(length, pick(random, [0, 1, 2, 0x7f, 0xff]));
  const tags = isFlexible ? [random.unit() < 0.5 ? Buffer.of(0) : pick(random, hostileVarints)] : [];
  return joined([
    header,
    ...tags,
    random.unit() < 0.5 ? pick(random, hostileVarints) : Buffer.from("7fffffff", "hex"),
    filling,
  ]);
}

function garbage(random: Random): Uint8Array {
  const bytes = random.fill(new Uint8Array(8 + below(random, 120)));
  assert(bytes.length >= 8, "the assembler lets no shorter frame pass");
  if (random.unit() < 0.8) new DataView(bytes.buffer).setInt16(0, apis[pick(random, apiNames)].key);
  if (random.unit() < 0.8) new DataView(bytes.buffer).setInt16(2, below(random, 14));
  return bytes;
}

/**
 * Hashes of passwords as files and settings hold them: scrypt in the PHC string format.
 *
 *   $scrypt$ln=15,r=8,p=1$<salt, base64>$<hash, base64>
 *
 * ln is the logarithm of the memory cost: 2^ln × r × 128 bytes.
 */
import { createHash, scrypt, timingSafeEqual } from "node:crypto";
import type { Random } from "../base/runtime.ts";

export interface PasswordHash {
  readonly costLog2: number;
  readonly blockSize: number;
  readonly parallel: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** 32 MiB and some 60 ms for a guess (OWASP's advice for interactive logins, halved in memory for a broker of many clients). */
const chosen = { costLog2: 15, blockSize: 8, parallel: 1 } as const;
const saltBytes = 16;
const hashBytes = 32;
/** What a login may take: 64 MiB. A hash that asks for more is refused when it is read. */
const memoryBytesMax = 64 * 1024 * 1024;
/** Longer than any passphrase; a bound on what is hashed. */
export const passwordBytesMax = 1024;

const pattern =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,})={0,2}\$([A-Za-z0-9+/]{22,})={0,2}$/;

/** undefined: it is no such hash, or one that costs too much. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const [, ln, r, p, salt, hash] = pattern.exec(text) ?? [];
  if (salt === undefined || hash === undefined) return undefined;
  const parsed = { costLog2: Number(ln), blockSize: Number(r), parallel: Number(p) };
  const bytes = 2 ** parsed.costLog2 * parsed.blockSize * 128;
  const isAffordable = bytes <= memoryBytesMax && parsed.costLog2 > 0 && parsed.blockSize > 0 && parsed.parallel === 1;
  if (!isAffordable) return undefined;
  return { ...parsed, salt: Buffer.from(salt, "base64"), hash: Buffer.from(hash, "base64") };
}

export async function hashPassword(password: Uint8Array, random: Random): Promise<string> {
  const salt = random.fill(new Uint8Array(saltBytes));
  const hash = await derive(password, { ...chosen, salt, hash: new Uint8Array(hashBytes) });
  const { costLog2, blockSize, parallel } = chosen;
  return `$scrypt$ln=${costLog2},r=${blockSize},p=${parallel}$${unpadded(salt)}$${unpadded(hash)}`;
}

export async function isPassword(password: Uint8Array, expected: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, expected), expected.hash);
}

/** For passwords that settings hold in clear: their lengths differ, their digests do not. */
export function isSameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return timingSafeEqual(createHash("sha256").update(a).digest(), createHash("sha256").update(b).digest());
}

/** Costs as much as a real check of a hash of ours, for names that are not known. */
export const strangerHash: PasswordHash = {
  ...chosen,
  salt: new Uint8Array(saltBytes),
  hash: new Uint8Array(hashBytes),
};

function derive(password: Uint8Array, like: PasswordHash): Promise<Buffer> {
  const cost = 2 ** like.costLog2;
  const options = { N: cost, r: like.blockSize, p: like.parallel, maxmem: memoryBytesMax * 2 };
  return new Promise((resolve, reject) => {
    scrypt(password, like.salt, like.hash.length, options, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}

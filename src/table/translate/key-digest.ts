/** Keys of rows in a fixed number of bytes, so that many can be sent and remembered: no two of a table are alike by chance. */
import { hash } from "node:crypto";

/** The first bytes of a SHA-256: among 2^40 keys, two are alike with a probability of 2^-49. */
export const keyDigestBytes = 16;

export function digestKeys(keys: readonly string[]): Uint8Array {
  const digests = new Uint8Array(keys.length * keyDigestBytes);
  keys.forEach((key, at) => {
    digests.set(hash("sha256", key, "buffer").subarray(0, keyDigestBytes), at * keyDigestBytes);
  });
  return digests;
}

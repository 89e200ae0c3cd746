/** What a round's records do to keys, one by one. Pure. */
import { keyDigestBytes } from "../translate/key-digest.ts";
import type { Touches } from "../translate/translate.ts";

export interface Touch {
  /** The digest, a character a byte. */
  readonly key: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
}

export function* eachTouch({ keys, partitions, offsets, timestamps }: Touches): Iterable<Touch> {
  const bytes = Buffer.from(keys.buffer, keys.byteOffset, keys.length);
  for (let at = 0; at < partitions.length; at += 1) {
    yield {
      key: bytes.toString("latin1", at * keyDigestBytes, (at + 1) * keyDigestBytes),
      partition: partitions[at] as number,
      offset: offsets[at] as number,
      timestamp: timestamps[at] as number,
    };
  }
}

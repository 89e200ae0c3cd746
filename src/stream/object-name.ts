/**
 * Names of objects. None is ever used again: the epoch is of this process alone, the counter of this name.
 *
 *   objects/<uuid>-n<node>-e<node epoch>-<counter>
 */
import { uuidRandom } from "../base/ids.ts";
import type { Random } from "../base/runtime.ts";
import type { ObjectOrigin } from "./object-format.ts";

/** Objects of S3Stream live below this. */
export const objectPrefix = "objects/";

/** One a process: two of them would count the same numbers. */
export class ObjectNames {
  readonly #origin: ObjectOrigin;
  readonly #random: Random;
  #counter = 0;

  constructor(origin: ObjectOrigin, random: Random) {
    this.#origin = origin;
    this.#random = random;
  }

  /** The uuid comes first, so that a store that splits by name spreads the load. */
  next(): string {
    this.#counter += 1;
    const { node, nodeEpoch } = this.#origin;
    return `${objectPrefix}${uuidRandom(this.#random)}-n${node}-e${nodeEpoch}-${this.#counter}`;
  }
}

/** Who wrote the object of this name; undefined when the name is none of ours. */
export function originOfKey(key: string): { readonly node: number; readonly nodeEpoch: number } | undefined {
  const match = /-n(\d+)-e(\d+)-\d+$/.exec(key);
  if (!key.startsWith(objectPrefix) || match === null) return undefined;
  return { node: Number(match[1]), nodeEpoch: Number(match[2]) };
}

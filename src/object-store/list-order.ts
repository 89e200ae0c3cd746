/**
 * In which order a store gives out keys, learnt from those it gave: that tells what comes after a key.
 *
 *   by bytes    a-b, a/b, a0        S3 and most others sort whole keys
 *   by folders  a/b, a-b, a0        a store over a tree of folders sorts each folder's names
 */

type Compare = (a: string, b: string) => number;

const orders: readonly Compare[] = [compareBytes, compareFolders];

export class ListOrder {
  #last: string | undefined;
  #possible = orders;

  get last(): string | undefined {
    return this.#last;
  }

  /** Whether all keys so far came in an order that is known. */
  get isKnown(): boolean {
    return this.#possible.length > 0;
  }

  note(key: string): void {
    const last = this.#last;
    if (last !== undefined) this.#possible = this.#possible.filter((compare) => compare(last, key) < 0);
    this.#last = key;
  }

  isAfter(last: string, key: string): boolean {
    return this.#possible.some((compare) => compare(last, key) < 0);
  }
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function compareFolders(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  const at = left.findIndex((name, index) => name !== right[index]);
  if (at === -1) return left.length - right.length;
  return compareBytes(left[at] as string, right[at] ?? "");
}

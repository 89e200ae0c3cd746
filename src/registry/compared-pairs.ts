import type { Incompatibility } from "./compatibility.ts";

/**
 * Pairs in a comparison of recursive schemas. One that is being compared, or was without finding anything, is assumed to be
 * compatible: it is, unless something else in it is not. One that failed failed for good, since assumptions only help. Without
 * both, schemas that many others share would be compared 2^depth times.
 */
export class ComparedPairs<Reader, Writer> {
  readonly #assumed = new Map<Reader, Set<Writer>>();
  readonly #trail: (readonly [reader: Reader, writer: Writer])[] = [];
  readonly #failed = new Map<Reader, Map<Writer, readonly Incompatibility[]>>();

  /** What `compare` finds, unless that is known. */
  compare(reader: Reader, writer: Writer, compare: () => readonly Incompatibility[]): readonly Incompatibility[] {
    const failed = this.#failed.get(reader)?.get(writer);
    if (failed !== undefined) return failed;
    if (this.#assumed.get(reader)?.has(writer) === true) return [];
    this.#assumed.set(reader, (this.#assumed.get(reader) ?? new Set()).add(writer));
    this.#trail.push([reader, writer]);
    const found = compare();
    if (found.length > 0) this.#failed.set(reader, (this.#failed.get(reader) ?? new Map()).set(writer, found));
    return found;
  }

  /** Whether `compare` finds nothing. What was assumed on the way does not hold when it finds something. */
  holds(compare: () => readonly Incompatibility[]): boolean {
    const mark = this.#trail.length;
    if (compare().length === 0) return true;
    for (const [reader, writer] of this.#trail.splice(mark)) this.#assumed.get(reader)?.delete(writer);
    return false;
  }
}

/** A covering array: rows in which every two values of different parameters meet somewhere, as far as they may meet at all. */
import type { Random } from "../../src/base/runtime.ts";

export type Parameters = Readonly<Record<string, readonly string[]>>;
export type Choice<P extends Parameters> = { readonly [K in keyof P]: P[K][number] };

/** As many rows are tried for each place as this; the one that meets most pairs that have not met yet is taken. */
const candidatesPerRow = 60;

/** Greedy: the first pair that has not met yet begins a row. `isAllowed` may refuse a row for any two of its values, no more. */
export function pairwise<P extends Parameters>(
  parameters: P,
  isAllowed: (row: Choice<P>) => boolean,
  random: Random,
): readonly Choice<P>[] {
  const missing = new Set(every(parameters).filter(isAllowed).flatMap(pairsOf));
  const rows: Choice<P>[] = [];
  for (const pair of missing) {
    const fixed = Object.fromEntries(JSON.parse(pair) as readonly (readonly [string, string])[]);
    const candidates = Array.from({ length: candidatesPerRow }, () => completed(parameters, fixed, random));
    const allowed = candidates.filter(isAllowed);
    const gain = (row: Choice<P>): number => pairsOf(row).filter((each) => missing.has(each)).length;
    const best = allowed.toSorted((a, b) => gain(b) - gain(a))[0];
    if (best === undefined) throw new Error(`none of ${candidatesPerRow} rows around ${pair} is allowed`);
    for (const each of pairsOf(best)) missing.delete(each);
    rows.push(best);
  }
  return rows;
}

/** Every row that there is. */
export function every<P extends Parameters>(parameters: P): readonly Choice<P>[] {
  const names = Object.keys(parameters);
  const rows = names.reduce<readonly Readonly<Record<string, string>>[]>(
    (before, name) => before.flatMap((row) => (parameters[name] ?? []).map((value) => ({ ...row, [name]: value }))),
    [{}],
  );
  return rows as readonly Choice<P>[];
}

export function pairsOf(row: Readonly<Record<string, string>>): readonly string[] {
  const values = Object.entries(row);
  return values.flatMap((one, at) => values.slice(at + 1).map((other) => JSON.stringify([one, other])));
}

function completed<P extends Parameters>(
  parameters: P,
  fixed: Readonly<Record<string, string>>,
  random: Random,
): Choice<P> {
  const row = Object.entries(parameters).map(([name, values]) => {
    return [name, fixed[name] ?? values[Math.floor(random.unit() * values.length)]];
  });
  return Object.fromEntries(row) as Choice<P>;
}

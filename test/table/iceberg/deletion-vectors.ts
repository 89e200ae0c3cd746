/** Vectors that the reference's writer is compared on, here by their golden bytes and in interop/ by the writer itself. */

/** Ranges of rows, both ends included. */
export type Rows = readonly (readonly [from: number, to: number])[];

const every = (step: number, count: number, from = 0): Rows =>
  Array.from({ length: count }, (_, index) => [from + index * step, from + index * step] as const);

export const vectorCases: Readonly<Record<string, Rows>> = {
  "one row": [[0, 0]],
  "an array": [
    [1, 1],
    [5, 5],
    [9, 9],
  ],
  "a run": [[0, 70]],
  "the longest array": every(3, 4096),
  "the shortest bits": every(3, 4097),
  "a whole container": [[0, 65_535]],
  "over a container's end": [[65_530, 65_540]],
  "four containers of both kinds, with offsets": [[7, 7], [65_536, 66_000], ...every(65_536, 2, 200_000)],
  "runs without offsets": [
    [0, 100],
    [65_536, 65_636],
  ],
  "runs as long as an array": [
    [4, 6],
    [9, 9],
  ],
  "nine containers, all runs": Array.from({ length: 9 }, (_, index) => [index * 65_536, index * 65_536 + 20] as const),
  "the last row below 2^32": [[4_294_967_295, 4_294_967_295]],
};

export function rowNumbers(rows: Rows): Float64Array {
  return Float64Array.from(
    rows.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index)),
  );
}

export function rowsText(rows: Rows): string {
  return rows.map(([from, to]) => `${from}-${to}`).join(" ");
}

/**
 * Which rows of a round are the last of their keys. Pure. Inside a topic partition the later record wins; between partitions
 * nothing is ordered but by timestamp, and equal timestamps by partition: the same rows give the same answer every time.
 */

export interface KeyedRows {
  /** One a row, in the order in which rows were read: inside a topic partition that of offsets. */
  readonly keys: readonly string[];
  readonly partitions: readonly number[];
  /** Milliseconds. */
  readonly timestamps: readonly number[];
  /** 1: as if the row were not there. Absent: all of them count. */
  readonly leaveOut?: Uint8Array | undefined;
}

export interface LastRows {
  /** One row a key, in the order in which keys were first met. */
  readonly rows: readonly number[];
  /** Keys with rows of more than one topic partition: which of them is the last is a matter of timestamps. */
  readonly crossingKeys: number;
}

export function lastPerKey({ keys, partitions, timestamps, leaveOut }: KeyedRows): LastRows {
  /** The only row of a key, or one a topic partition. */
  const last = new Map<string, number | Map<number, number>>();
  for (const [row, key] of keys.entries()) {
    if (leaveOut?.[row] === 1) continue;
    const before = last.get(key);
    const partition = partitions[row] as number;
    if (typeof before === "object") before.set(partition, row);
    else if (before === undefined || partitions[before] === partition) last.set(key, row);
    else
      last.set(
        key,
        new Map([
          [partitions[before] as number, before],
          [partition, row],
        ]),
      );
  }
  const isLater = (a: number, b: number): boolean =>
    timestamps[a] === timestamps[b]
      ? (partitions[a] as number) > (partitions[b] as number)
      : (timestamps[a] as number) > (timestamps[b] as number);
  let crossingKeys = 0;
  const rows = [...last.values()].map((found) => {
    if (typeof found === "number") return found;
    crossingKeys += 1;
    return [...found.values()].reduce((best, row) => (isLater(row, best) ? row : best));
  });
  return { rows, crossingKeys };
}

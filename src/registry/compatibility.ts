/** What a compatibility level asks: who must read whose data. */

export const compatibilityLevels = [
  "NONE",
  "BACKWARD",
  "BACKWARD_TRANSITIVE",
  "FORWARD",
  "FORWARD_TRANSITIVE",
  "FULL",
  "FULL_TRANSITIVE",
] as const;

export type CompatibilityLevel = (typeof compatibilityLevels)[number];

/** Why a reader cannot read what a writer wrote. */
export interface Incompatibility {
  /** In Confluent's words: "READER_FIELD_MISSING_DEFAULT_VALUE". */
  readonly type: string;
  /** In the reader: "/fields/1/type". */
  readonly path: string;
  readonly detail: string;
}

/** Pairs to check. `earlier` is in rising order of version; transitive levels look at all of it, the others at the last. */
export function pairsToCheck<S>(
  level: CompatibilityLevel,
  earlier: readonly S[],
  proposed: S,
): readonly { readonly reader: S; readonly writer: S; readonly earlier: S }[] {
  const compared = level.endsWith("_TRANSITIVE") ? earlier.toReversed() : earlier.slice(-1);
  const isBackward = level.startsWith("BACKWARD") || level.startsWith("FULL");
  const isForward = level.startsWith("FORWARD") || level.startsWith("FULL");
  return compared.flatMap((each) => [
    ...(isBackward ? [{ reader: proposed, writer: each, earlier: each }] : []),
    ...(isForward ? [{ reader: each, writer: proposed, earlier: each }] : []),
  ]);
}

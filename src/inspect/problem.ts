/** What is wrong with stored data: where, and what a person can do about it. */
export interface StorageProblem {
  readonly kind: ProblemKind;
  readonly where: string;
  readonly detail: string;
  readonly advice: string;
}

export type ProblemKind =
  | "missing-object"
  | "corrupt-object"
  | "wrong-size"
  | "bad-batch"
  | "range-not-in-object"
  | "stranger"
  | "gap"
  | "doubled-range"
  | "taken-over"
  | "corrupt-wal"
  | "corrupt-metadata"
  | "unreadable";

/**
 * The kinds of trouble that an object store makes, by what becomes of the request that one strikes. A proxy in front of a
 * real server (test/support/fault-proxy.ts) and the simulated store (test/sim/object-store.ts) make the same ones.
 */

export const storeOperations = [
  "put",
  "put-if-absent",
  "put-if-match",
  "get",
  "get-range",
  "head",
  "list",
  "delete",
  "multipart-create",
  "multipart-part",
  "multipart-complete",
  "multipart-abort",
] as const;

export type StoreOperation = (typeof storeOperations)[number];

type Fate =
  /** Refused: nothing happened, and the answer says so. */
  | "refused"
  /** Nothing happened, and nobody can know. */
  | "lost"
  /** It happened, the answer did not come. */
  | "unheard"
  /** The caller is told nothing, and after it has given up the request takes effect. */
  | "ghost"
  /** It happens twice, and the second answer is heard. */
  | "twice"
  /** It happened in part, and the answer says so. */
  | "partial"
  /** It happens, late but in time. */
  | "slow"
  /** An answer that is not right, and can be seen not to be. */
  | "garbled"
  /** An answer that is not right, and looks as if it were. */
  | "lie";

const reads = ["get", "get-range"] as const;

interface FaultKindDeclaration {
  readonly fate: Fate;
  /** All operations when left out. */
  readonly operations?: readonly StoreOperation[];
}

export const faultKinds = {
  "500": { fate: "lost" },
  "503-slow-down": { fate: "refused" },
  "429": { fate: "refused" },
  "connection-refused": { fate: "refused" },
  "name-not-found": { fate: "refused" },
  "tls-fails": { fate: "refused" },
  "credentials-expired": { fate: "refused" },
  "clock-skewed": { fate: "refused" },
  "307": { fate: "refused" },
  "answer-lost": { fate: "unheard" },
  "answer-late": { fate: "unheard" },
  ghost: { fate: "ghost" },
  duplicate: { fate: "twice" },
  "409-conflict": { fate: "refused" },
  "200-with-error": { fate: "lost", operations: ["multipart-complete"] },
  truncated: { fate: "garbled", operations: reads },
  /** Found by the SDK where the store sends a checksum of the whole object; in a range by whoever reads blocks. */
  "bit-flipped": { fate: "lie", operations: reads },
  "wrong-range": { fate: "garbled", operations: ["get-range"] },
  "slow-first-byte": { fate: "slow" },
  trickle: { fate: "slow", operations: ["get", "get-range", "list"] },
  stall: { fate: "lost" },
  "delete-in-part": { fate: "partial", operations: ["delete"] },
  "page-repeated": { fate: "garbled", operations: ["list"] },
  "507-quota": { fate: "lost" },
  /** No store that we support does this: what a probe at start-up must refuse. */
  "fresh-key-missing": { fate: "lie", operations: ["get", "get-range", "head", "list"] },
} as const satisfies Readonly<Record<string, FaultKindDeclaration>>;

export type FaultKind = keyof typeof faultKinds;

export function fateOf(kind: FaultKind): Fate {
  return faultKinds[kind].fate;
}

export function strikes(kind: FaultKind, operation: StoreOperation): boolean {
  const { operations }: FaultKindDeclaration = faultKinds[kind];
  return operations?.includes(operation) ?? true;
}

export const allFaultKinds = Object.keys(faultKinds) as readonly FaultKind[];

/** Every kind against every operation that it can strike. */
export const faultCells = allFaultKinds.flatMap((kind) =>
  storeOperations.filter((operation) => strikes(kind, operation)).map((operation) => ({ kind, operation })),
);

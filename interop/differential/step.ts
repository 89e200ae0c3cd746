/**
 * One request of a sequence. What only a broker can say (ids) and what must be fresh in every run (names, times) stands in the
 * body as a placeholder, so that the same sequence can be sent to two brokers, and again while it is made smaller.
 */
import { inspect } from "node:util";
import type { Uuid } from "../../src/base/ids.ts";
import type { ApiName, RequestInputOf } from "../../src/protocol/api-table.ts";
import type { Compression } from "../../src/protocol/record-batch.ts";

export interface StepOf<Name extends ApiName> {
  readonly api: Name;
  readonly version: number;
  readonly body: RequestInputOf<Name>;
  /** Each name is a connection of its own; what blocks must not share one. */
  readonly connection: string;
  /** Under which name the ids in the response are remembered. */
  readonly label?: string;
  /** Done to the bytes before they are sent. */
  readonly mangle?: Mangle;
}

export type Step = { readonly [Name in ApiName]: StepOf<Name> }[ApiName];

export type Mangle =
  /** The last bytes of the body are missing; the frame's length says so. */
  { readonly kind: "cut"; readonly bytes: number } | { readonly kind: "version"; readonly to: number };

/** Connections that begin so are those of a user who has authenticated: `as alice`. */
export const userPrefix = "as ";
/** Of every user. */
export const password = "a-password";
export const users = ["alice", "bob"] as const;

/** Stands for this run's prefix, so that every run has topics and groups of its own. */
export const fresh = "%";
/** What `fresh` becomes is this long: names at the limit of a length need to know. */
export const freshChars = 8;

export class Placeholder {
  readonly kind:
    | "topicId"
    | "member"
    | "generation"
    | "producerId"
    | "producerEpoch"
    | "session"
    | "clientInstance"
    | "subscription"
    | "token"
    | "time"
    | "batch";
  readonly name: string;
  readonly delta: number;
  readonly batch: BatchSpec | undefined;

  constructor(kind: Placeholder["kind"], name: string, delta = 0, batch?: BatchSpec) {
    this.kind = kind;
    this.name = name;
    this.delta = delta;
    this.batch = batch;
  }

  /** As a sequence is printed. */
  [inspect.custom](): string {
    if (this.batch !== undefined) return `<batch ${JSON.stringify(this.batch).replaceAll('"', "")}>`;
    return `<${this.kind} ${this.name}${this.delta === 0 ? "" : ` ${this.delta}`}>`;
  }
}

/** The types say what stands there when it is sent. */
export const topicIdOf = (topic: string): Uuid => new Placeholder("topicId", topic) as unknown as Uuid;
export const memberOf = (label: string): string => new Placeholder("member", label) as unknown as string;
export const generationOf = (label: string, delta = 0): number =>
  new Placeholder("generation", label, delta) as unknown as number;
export const producerIdOf = (label: string): number => new Placeholder("producerId", label) as unknown as number;
export const producerEpochOf = (label: string, delta = 0): number =>
  new Placeholder("producerEpoch", label, delta) as unknown as number;
/** The id that the broker gave the client, and that of what it asked the client to push (KIP-714). */
export const clientInstanceOf = (label: string): Uuid => new Placeholder("clientInstance", label) as unknown as Uuid;
export const subscriptionOf = (label: string): number => new Placeholder("subscription", label) as unknown as number;
/** What proves that one has the delegation token of that label. */
export const tokenOf = (label: string): Uint8Array => new Placeholder("token", label) as unknown as Uint8Array;
export const sessionOf = (label: string): number => new Placeholder("session", label) as unknown as number;
/** The beginning of the run and so many milliseconds. */
export const timeAt = (deltaMs: number): number => new Placeholder("time", "", deltaMs) as unknown as number;
export const batchOf = (spec: BatchSpec): Uint8Array => new Placeholder("batch", "", 0, spec) as unknown as Uint8Array;

/** A record batch before ids and times are known. */
export interface BatchSpec {
  readonly records: readonly {
    readonly timeDeltaMs: number;
    readonly key: string | null;
    readonly value: string | null;
    readonly headers?: readonly (readonly [key: string, value: string | null])[];
  }[];
  readonly compression: Compression;
  readonly producer?: {
    readonly label: string;
    readonly epochDelta: number;
    readonly sequence: number;
  };
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
  readonly baseOffset?: number;
  /** What is broken in it. */
  readonly fault?: BatchFault;
}

export type BatchFault =
  | "crc"
  | "magic0"
  | "magic1"
  | "compression"
  | "length"
  | "count"
  | "lastOffsetDelta"
  | "cut"
  | "garbage"
  | "maxTimestamp"
  | "deltas";

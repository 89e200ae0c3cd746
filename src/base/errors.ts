/**
 * The three kinds of trouble: a wrong program asserts and stops; a failed operation throws one of the classes
 * below; an expected answer is a value in a return type and is never thrown.
 */

import type { Offset, StreamId } from "./ids.ts";

/** Throws when the program itself is wrong. Never caught: only a restart from the log is trustworthy. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new WrongProgram(message);
}

/** Marks a case that the types say cannot happen. */
export function unreachable(value: never): never {
  throw new WrongProgram(`unreachable: ${String(value)}`);
}

export class WrongProgram extends Error {
  override readonly name = "WrongProgram";
}

/** Bytes that came from outside (a socket, a disk, a bucket) and do not say what they should. */
export class CorruptData extends Error {
  override readonly name = "CorruptData";
  readonly source: string;
  /** Position in bytes from the start of the source, where the reader stood. */
  readonly position: number;

  constructor(at: {
    readonly source: string;
    readonly position: number;
    readonly expected: string;
    readonly found: string;
  }) {
    super(`corrupt ${at.source} at byte ${at.position}: expected ${at.expected}, found ${at.found}`);
    this.source = at.source;
    this.position = at.position;
  }
}

/** Whether a failed write took effect. On "maybe" repeat the same operation under the same id; never trust an absence. */
export type Happened = "no" | "maybe";

/** An operation on something outside the process (a store, a disk, a catalog) failed. */
export class OperationFailed extends Error {
  override readonly name: string = "OperationFailed";
  readonly happened: Happened;

  constructor(message: string, options: { readonly happened: Happened; readonly cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.happened = options.happened;
  }
}

/** The component was closed or aborted while the operation waited. Nothing happened. */
export class Closed extends OperationFailed {
  override readonly name = "Closed";
  constructor(what: string) {
    super(`${what} is closed`, { happened: "no" });
  }
}

/** An object is missing or is not what was written. Everything outside the range can still be read; nothing is skipped. */
export class RangeUnreadable extends OperationFailed {
  override readonly name = "RangeUnreadable";
  readonly stream: StreamId;
  /** Where reading stopped. */
  readonly from: Offset;
  /** The end of what the object was to hold of the stream. */
  readonly to: Offset;
  readonly object: string;
  readonly because: "missing" | "corrupt";

  constructor(range: Pick<RangeUnreadable, "stream" | "from" | "to" | "object" | "because" | "cause">) {
    const { stream, from, to, object, because, cause } = range;
    super(`offsets ${from} to ${to} of stream ${stream} cannot be read: ${object} is ${because}`, {
      happened: "no",
      cause,
    });
    this.stream = stream;
    this.from = from;
    this.to = to;
    this.object = object;
    this.because = because;
  }
}

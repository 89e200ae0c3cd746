/**
 * The three kinds of trouble: a wrong program asserts and stops; a failed operation throws one of the classes
 * below; an expected answer is a value in a return type and is never thrown.
 */

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

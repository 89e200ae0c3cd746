/** How commands talk: tables for people, JSON for programs, and exit codes for scripts. */

import { CorruptData, OperationFailed } from "../base/errors.ts";

export const exitCodes = {
  ok: 0,
  /** The command could not do what it was asked. */
  failed: 1,
  /** The command line or the configuration is wrong; nothing was tried. */
  usage: 2,
  /** It could not be reached: broker, registry or admin API. */
  unreachable: 3,
  /** What was asked for is not there. */
  missing: 4,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends the command with this message and code, without a stack. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = exitCodes.failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** What a person should read of a failure that is not the program's own; undefined when only its stack can help. */
export function reasonOf(cause: unknown): string | undefined {
  // Closing what was open failed as well, which followed from the first failure.
  if (cause instanceof SuppressedError) return reasonOf(cause.suppressed);
  if (cause instanceof CorruptData)
    return `${cause.message}; "inlet verify --storage" says what else is damaged, and what to do`;
  if (cause instanceof OperationFailed) return cause.message;
  return cause instanceof Error && "syscall" in cause ? cause.message : undefined; // Of the system: a file, a socket.
}

export type Format = "text" | "json";

/** Where a command writes: the process's streams, or a test's. */
export interface Terminal {
  out(text: string): void;
  error(text: string): void;
}

export type Row = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Rows under upper-case headings, or a JSON list of them. */
export function printRows(terminal: Terminal, format: Format, columns: readonly string[], rows: readonly Row[]): void {
  if (format === "json") {
    printJson(terminal, rows);
    return;
  }
  printCells(
    terminal,
    columns.map((column) => column.toUpperCase().replaceAll("_", "-")),
    rows.map((row) => columns.map((column) => row[column])),
  );
}

/** Cells by their place: headings may be the same. */
export function printCells(
  terminal: Terminal,
  headings: readonly string[],
  rows: readonly (readonly Row[string][])[],
): void {
  const lines = [headings, ...rows.map((row) => row.map((value) => cell(value)))];
  const widths = headings.map((_, index) => Math.max(...lines.map((line) => (line[index] as string).length)));
  for (const line of lines) {
    terminal.out(
      `${line
        .map((each, index) => each.padEnd(widths[index] as number))
        .join("  ")
        .trimEnd()}\n`,
    );
  }
}

export function printJson(terminal: Terminal, value: unknown): void {
  terminal.out(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** "2026-01-31 12:00:00 UTC" */
export function timeWords(ms: number): string {
  return `${timeFormat.format(ms)} UTC`;
}

/** Swedish dates are ISO's. */
const timeFormat = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: "UTC" });

function cell(value: Row[string]): string {
  return value === undefined || value === null ? "-" : String(value);
}

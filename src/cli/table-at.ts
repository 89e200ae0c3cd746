/** inlet table at: which snapshot of a table first holds given records, and how engines are asked for it. */
import { callAdmin } from "./admin-api.ts";
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes, printJson, timeWords } from "./output.ts";

export interface AtOptions {
  readonly offset?: string;
  readonly timestamp?: string;
}

export const atHelp = `
--offset 0:1234,1:99 asks for the record at offset 1234 of partition 0 and that at 99 of partition 1, and all before them;
--timestamp 2026-01-31T12:00:00Z (or milliseconds) for all records of the log up to that time. What the snapshot holds
beyond the offsets is left out by the condition of the SQL; of a table with a key it cannot be, and that is said. Ends with 4 when no snapshot holds them yet.`;

interface Answer {
  readonly snapshotId: string;
  readonly committedMs: number;
  readonly isFirst: boolean;
  readonly isExact: boolean;
  readonly sql: Readonly<Record<string, string>>;
}

export async function tableAt(context: Context, topic: string, options: AtOptions): Promise<void> {
  const query = new URLSearchParams();
  for (const name of ["offset", "timestamp"] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, value);
  }
  if (query.size !== 1) throw new CommandFailed("say either --offset or --timestamp", exitCodes.usage);
  const answer = (await callAdmin(
    context,
    "GET",
    `/v1/tables/${encodeURIComponent(topic)}/at?${query.toString()}`,
  )) as Answer;
  if (context.format === "json") {
    printJson(context.terminal, answer);
    return;
  }
  const { snapshotId, committedMs, isFirst, isExact, sql } = answer;
  context.terminal.out(`snapshot ${snapshotId}, committed at ${timeWords(committedMs)}\n`);
  if (!isFirst) context.terminal.out("an older one may have been the first: those before it were expired\n");
  if (!isExact) context.terminal.out("it holds later records too, whose rows took the place of earlier ones\n");
  for (const [engine, text] of Object.entries(sql)) context.terminal.out(`\n-- ${engine}\n${text};\n`);
}

/** inlet table status and resume: how a table stands, and its way out of a pause. */
import { callAdmin } from "./admin-api.ts";
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes, printJson, printRows, type Row } from "./output.ts";
import { type BackfillStatus, backfillWords } from "./table-backfill.ts";

export const resumeHelp = `
A table pauses when going on could lose or double rows; "inlet table status" says why.

--accept       the table is right as it is: go on after what it was last said to hold. Rows that others took away stay
               away, schemas that were refused are tried again.
--retranslate  leave the table alone, and translate what the topic still holds into a new one, <name>__g2.

It ends with 1, and the reason, when the table cannot go on as it is.`;

export interface ResumeOptions {
  readonly accept?: boolean;
  readonly retranslate?: boolean;
}

export async function resumeTable(context: Context, topic: string, options: ResumeOptions): Promise<void> {
  if ((options.accept === true) === (options.retranslate === true)) {
    throw new CommandFailed("say either --accept or --retranslate", exitCodes.usage);
  }
  const how = options.accept === true ? "accept" : "retranslate";
  const status = (await callAdmin(context, "POST", `${pathOf(topic)}/resume?how=${how}`)) as Status;
  print(context, status);
}

export async function tableStatus(context: Context, topic: string): Promise<void> {
  print(context, (await callAdmin(context, "GET", pathOf(topic))) as Status);
}

function pathOf(topic: string): string {
  return `/v1/tables/${encodeURIComponent(topic)}`;
}

interface Status {
  readonly topic: string;
  readonly state: string;
  readonly partitions: readonly Row[];
  readonly backfill?: BackfillStatus | null;
  readonly beside?: readonly BesideStatus[];
  readonly [figure: string]: Row[string] | readonly Row[] | BackfillStatus | readonly BesideStatus[] | undefined;
}

interface BesideStatus {
  readonly table: string;
  readonly state: string;
  readonly reason: string;
  readonly backfill: BackfillStatus | null;
}

function print(context: Context, status: Status): void {
  if (context.format === "json") {
    printJson(context.terminal, status);
    return;
  }
  const { partitions, backfill, beside = [], ...figures } = status;
  for (const [name, value] of Object.entries(figures)) {
    if (value === null || value === "" || typeof value === "object" || value === undefined) continue;
    context.terminal.out(`${`${words(name)}:`.padEnd(15)} ${value}\n`);
  }
  if (status.state === "paused" || status.state === "diverged")
    context.terminal.out(
      `next:           put that right, then inlet table resume ${status.topic} --accept; or --retranslate, for a new table\n`,
    );
  if (backfill !== null && backfill !== undefined) context.terminal.out(`backfill:       ${backfillWords(backfill)}\n`);
  for (const { table, state, reason, backfill: own } of beside) {
    const how = own === null ? "not begun" : backfillWords(own);
    context.terminal.out(`beside:         ${table}: ${state === "running" ? how : `${state}, ${reason}; ${how}`}\n`);
  }
  context.terminal.out("\n");
  const columns = ["partition", "end", "translated_to", "committed_to", "translation_lag", "commit_lag"];
  const rows = partitions.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [snake(name), value])),
  );
  printRows(context.terminal, "text", columns, rows);
}

function words(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** inlet table backfill: begins to bring a topic's history into a table that began behind it. */
import { parseBytes } from "../config/units.ts";
import { callAdmin } from "./admin-api.ts";
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes, printJson } from "./output.ts";

export const backfillHelp = `
For a table that began with what was new (table.begin: latest). From the topic's start, unless told otherwise, up to where the
table or the backfill before began. It goes on by itself, after a restart too, and live records wait for one round of it at
most; "inlet table status" says how far it is. Said again while it runs, it changes the rate.

With --into it builds a second table, in the namespace of the first unless it names one, from the topic's start up to where the
topic is now, and no further, while the first goes on. It is the topic's own from the next start on when topics.<topic>.table.name
says its name, and goes on where it ended. --stop leaves it as far as it has got.

Into a table with a key come rows, and deletions, of keys that no later record touches.`;

export interface BackfillOptions {
  readonly fromOffset?: string;
  readonly fromTimestamp?: string;
  readonly rate?: string;
  readonly into?: string;
  readonly stop?: boolean;
}

export interface BackfillStatus {
  readonly state: string;
  readonly records: number;
  readonly translated: number;
  readonly committed: number;
  readonly bytesPerSecond: number | null;
  readonly trouble?: string | null;
}

export async function backfillTopic(context: Context, topic: string, options: BackfillOptions): Promise<void> {
  const { fromOffset, fromTimestamp, rate, into, stop } = options;
  if (stop === true && into === undefined)
    throw new CommandFailed("--stop goes with --into: say which table", exitCodes.usage);
  const bytesPerSecond = rate === undefined ? undefined : parseBytes(rate.replace(/\/s$/, ""));
  if (rate !== undefined && bytesPerSecond === undefined)
    throw new CommandFailed(`"${rate}" is no rate: write 50MiB/s`, exitCodes.usage);
  const path = `/v1/tables/${encodeURIComponent(topic)}/backfill`;
  const answer = await callAdmin(context, "POST", path, {
    fromOffset,
    fromTimestamp,
    bytesPerSecond,
    into,
    stop,
  });
  if (context.format === "json") printJson(context.terminal, answer);
  else if (stop === true) context.terminal.out(`${into} is built no further\n`);
  else context.terminal.out(`${backfillWords(answer as BackfillStatus)}\n`);
}

export function backfillWords({ state, records, committed, bytesPerSecond, trouble }: BackfillStatus): string {
  const percent = records === 0 ? 100 : Math.floor((committed / records) * 100);
  const rate = bytesPerSecond === null ? "" : `, ${bytesPerSecond} bytes a second at most`;
  const wait = trouble === null || trouble === undefined ? "" : `; it waits: ${trouble}`;
  return `${state}, ${committed} of ${records} records in the table (${percent} %)${rate}${wait}`;
}

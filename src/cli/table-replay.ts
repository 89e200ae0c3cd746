/** inlet table replay-dlq: has the broker translate dead letters again, and tells what still fails. */
import type { Context } from "./context.ts";
import { followRun } from "./long-run.ts";
import { printJson } from "./output.ts";

export const replayHelp = `
After the schema or the settings were put right: dead letters that can be rows by now go into the table, with the partition
and offset that they had. They stay in the table of dead letters; a second run leaves out what is a row already. In a table
with a key a letter becomes a row while its record is the last of its key in the log: superseded letters are older than what
the table holds; undecided ones are in the log no more, and what came after them may be gone too. Both stay letters.

With --undecided apply undecided letters become rows, or deletions, all the same. What is given up: where the key was put or
deleted after the letter, by a record that the log holds no more, the letter takes the place of the newer row, or brings back
what was deleted, for good. Superseded letters stay letters, and of several of a key the last counts. Run it without the flag first,
and look up the keys of the letters that it names: none should have a row, or have been deleted on purpose.

It ends with 0 also when some letters still fail, and says which and why.`;

interface Report {
  readonly letters: number;
  readonly rows: number;
  readonly rowsBefore: number;
  readonly superseded: number;
  readonly undecided: { readonly records: number; readonly samples: readonly string[] };
  readonly applied: { readonly records: number; readonly samples: readonly string[] };
  readonly failing: readonly {
    readonly reason: string;
    readonly records: number;
    readonly samples: readonly string[];
  }[];
}

/** As the broker knows them; the first when nothing is said. */
export const undecidedChoices = ["keep", "apply"];

export interface ReplayOptions {
  readonly undecided: string;
  readonly wait: boolean;
}

export async function replayTopic(
  context: Context,
  topic: string,
  { undecided: choice, wait }: ReplayOptions,
): Promise<void> {
  const report = await followRun<{ readonly letters: number; readonly rows: number }, Report>(context, {
    path: `/v1/tables/${encodeURIComponent(topic)}/replay-dlq`,
    wait,
    body: { undecided: choice },
    words: ({ letters, rows }) => `${letters} dead letters read, ${rows} are rows now`,
    failed: `dead letters of ${topic} could not be replayed`,
  });
  if (report === undefined) return;
  if (context.format === "json") {
    printJson(context.terminal, report);
    return;
  }
  const { letters, rows, rowsBefore, superseded, undecided, applied, failing } = report;
  context.terminal.out(`${letters} dead letters: ${rows} are rows now, ${rowsBefore} were before\n`);
  if (superseded > 0) context.terminal.out(`superseded: ${superseded}, later records of their keys are in the table\n`);
  const say = (text: string, samples: readonly string[]): void =>
    context.terminal.out(`${text}\n${samples.map((sample) => `  ${sample}\n`).join("")}`);
  const why = "the log has let go of them, and what came after them may be gone too";
  if (undecided.records > 0) say(`undecided: ${undecided.records}, ${why}`, undecided.samples);
  if (applied.records > 0) say(`applied: ${applied.records} of the rows were undecided, ${why}`, applied.samples);
  for (const { reason, records, samples } of failing) say(`still failing: ${records} for ${reason}`, samples);
}

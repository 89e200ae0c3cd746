/** inlet table replay-dlq: has the broker translate dead letters again, and tells what still fails. */
import type { Context } from "./context.ts";
import { followRun } from "./long-run.ts";
import { printJson } from "./output.ts";

export const replayHelp = `
After the schema or the settings were put right: dead letters that can be rows by now go into the table, with the partition
and offset that they had. They stay in the table of dead letters; a second run leaves out what is a row already. In a table
with a key a letter becomes a row while its record is the last of its key in the log: superseded letters are older than what
the table holds; undecided ones are in the log no more, and what came after them may be gone too. Both stay letters.

It ends with 0 also when some letters still fail, and says which and why.`;

interface Report {
  readonly letters: number;
  readonly rows: number;
  readonly rowsBefore: number;
  readonly superseded: number;
  readonly undecided: { readonly records: number; readonly samples: readonly string[] };
  readonly failing: readonly {
    readonly reason: string;
    readonly records: number;
    readonly samples: readonly string[];
  }[];
}

export async function replayTopic(context: Context, topic: string, wait: boolean): Promise<void> {
  const report = await followRun<{ readonly letters: number; readonly rows: number }, Report>(context, {
    path: `/v1/tables/${encodeURIComponent(topic)}/replay-dlq`,
    wait,
    words: ({ letters, rows }) => `${letters} dead letters read, ${rows} are rows now`,
    failed: `dead letters of ${topic} could not be replayed`,
  });
  if (report === undefined) return;
  if (context.format === "json") {
    printJson(context.terminal, report);
    return;
  }
  const { letters, rows, rowsBefore, superseded, undecided, failing } = report;
  context.terminal.out(`${letters} dead letters: ${rows} are rows now, ${rowsBefore} were before\n`);
  if (superseded > 0) context.terminal.out(`superseded: ${superseded}, later records of their keys are in the table\n`);
  if (undecided.records > 0) {
    const samples = undecided.samples.map((sample) => `  ${sample}\n`).join("");
    const why = "the log has let go of them, and what came after them may be gone too";
    context.terminal.out(`undecided: ${undecided.records}, ${why}\n${samples}`);
  }
  for (const { reason, records, samples } of failing)
    context.terminal.out(
      `still failing: ${records} for ${reason}\n${samples.map((sample) => `  ${sample}\n`).join("")}`,
    );
}

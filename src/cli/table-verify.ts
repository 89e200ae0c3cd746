/** inlet table verify: starts a verification in the broker, follows it, and tells what it found. */
import type { Context } from "./context.ts";
import { followRun } from "./long-run.ts";
import { CommandFailed, exitCodes, printJson, printRows, type Row, type Terminal } from "./output.ts";

export const verifyHelp = `
Every row of the table's current snapshot is read back and held against digests that were kept when the records were
translated, so that records which the topic no longer holds are proven too, and so are files that others rewrote.

Of a table with a key the log is read again, folded by key, and each row held against the last record of its key. Rows
whose record retention has removed are not provable, and counted.

With --table a table that "inlet table backfill --into" builds is proven likewise, over the offsets that it has got to.

It ends with 0 when nothing is wrong, and with 1 when something is. "unproven": nothing is wrong, but of some rows
nothing was kept that they could be held against.`;

interface Report {
  readonly table: string;
  readonly verdict: "equal" | "unproven" | "different";
  readonly snapshotId: string | null;
  readonly files: number;
  readonly rows: number;
  readonly rowsProven: number;
  readonly ranges: readonly Row[];
  readonly findings: readonly {
    readonly kind: string;
    readonly where: string;
    readonly detail: string;
    readonly sample: readonly string[];
  }[];
  readonly findingsLeftOut: number;
  readonly deadLetters: Report | null;
  readonly keyed?: {
    readonly keys: number;
    readonly crossingKeys: number;
    readonly rowsDeleted: number;
    readonly rowsNotProvable: number;
    readonly passes: number;
  };
}

interface Progress {
  readonly files: number;
  readonly filesTotal: number;
  readonly rows: number;
}

export interface VerifyOptions {
  readonly table?: string;
  readonly wait: boolean;
}

export async function verifyTopic(context: Context, topic: string, { table, wait }: VerifyOptions): Promise<void> {
  const query = table === undefined ? "" : `?table=${encodeURIComponent(table)}`;
  const report = await followRun<Progress, Report>(context, {
    path: `/v1/tables/${encodeURIComponent(topic)}/verify${query}`,
    wait,
    words: ({ files, filesTotal, rows }) => `${files} of ${filesTotal} files read, ${rows} rows`,
    failed: `${topic} could not be verified`,
  });
  if (report === undefined) return;
  if (context.format === "json") printJson(context.terminal, report);
  else {
    printReport(context.terminal, report);
    context.terminal.out(`\n${verdicts[report.verdict]}\n`);
  }
  if (report.verdict === "different")
    throw new CommandFailed(
      `table ${report.table} of topic ${topic} does not hold what was translated`,
      exitCodes.failed,
    );
}

function printReport(terminal: Terminal, report: Report): void {
  const { table, snapshotId, files, rows, rowsProven, ranges, findings, deadLetters } = report;
  terminal.out(
    `${table}, snapshot ${snapshotId ?? "-"}: ${rows} rows in ${files} files, ${rowsProven} of them proven\n\n`,
  );
  if (report.keyed !== undefined) {
    const { keys, crossingKeys, rowsDeleted, rowsNotProvable, passes } = report.keyed;
    terminal.out(
      `${keys} keys have a row by the log, ${crossingKeys} of them in several partitions; ${rowsDeleted} rows in files are deleted, ` +
        `${rowsNotProvable} are of records that the log has no more; ${passes} passes\n\n`,
    );
  }
  const columns = ["partition", "from", "to", "rows", "others", "rows_found", "state"];
  printRows(
    terminal,
    "text",
    columns,
    ranges.map(({ rowsFound, ...range }) => ({ ...range, rows_found: rowsFound ?? null })),
  );
  for (const { kind, where, detail, sample } of findings) {
    terminal.out(`\n${kind}: ${where}\n  ${detail}\n`);
    if (sample.length > 0) terminal.out(`  for example ${sample.join(" ")}\n`);
  }
  if (report.findingsLeftOut > 0) terminal.out(`\nand ${report.findingsLeftOut} more\n`);
  if (deadLetters === null) return;
  terminal.out("\n");
  printReport(terminal, deadLetters);
}

const verdicts = {
  equal: "equal: every row that must be there is there, once, as it was written, and no other",
  unproven: "unproven: nothing is wrong, but not every row could be held against what was written",
  different: "different: the table does not hold what was translated",
} as const;

/** inlet sql: a query over tables as they are, with what is not committed yet. */
import type { Command } from "commander";
import { callAdmin } from "./admin-api.ts";
import type { Context } from "./context.ts";
import { printCells, printJson, type Row } from "./output.ts";

interface Answer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
  readonly isCut: boolean;
  readonly tables: readonly { readonly table: string; readonly rowsNotCommitted: number }[];
}

export function addSqlCommand(program: Command, context: Context): void {
  program
    .command("sql <query>")
    .description("query tables with DuckDB's SQL, records that no commit holds yet included")
    .addHelpText("after", sqlHelp)
    .action((query: string) => sql(context, query));
}

const sqlHelp = `
Tables go by the names that inlet table list shows: SELECT count(*) FROM sales.orders. One query sees each table at one
point: the rows of its current snapshot, and after them the records of the topic that this snapshot does not hold, decoded
as the next commit will decode them. Answers are cut at table.sql.rows.max rows.`;

async function sql(context: Context, query: string): Promise<void> {
  const answer = (await callAdmin(context, "POST", "/v1/sql", { query })) as Answer;
  if (context.format === "json") {
    printJson(context.terminal, answer);
    return;
  }
  const names = answer.columns.map(({ name }) => name);
  printCells(
    context.terminal,
    names,
    answer.rows.map((row) => row.map(cell)),
  );
  if (answer.isCut) context.terminal.error("inlet: there are more rows; they were left out\n");
}

function cell(value: unknown): Row[string] {
  if (typeof value === "object" && value !== null) return JSON.stringify(value);
  return value as Row[string];
}

/** inlet table list|status|flush|resume|connect|plan|at|verify|replay-dlq|backfill|orphans, over the admin API. */
import type { Command } from "commander";
import { Option } from "commander";
import { callAdmin } from "./admin-api.ts";
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes, printJson, printRows, type Row } from "./output.ts";
import { type Engine, engines, recipe } from "./recipes.ts";
import { type AtOptions, atHelp, tableAt } from "./table-at.ts";
import { type BackfillOptions, backfillHelp, backfillTopic } from "./table-backfill.ts";
import { type OrphanOptions, orphansHelp, tableOrphans } from "./table-orphans.ts";
import { planHelp, planTopic } from "./table-plan.ts";
import { type ReplayOptions, replayHelp, replayTopic, undecidedChoices } from "./table-replay.ts";
import { type ResumeOptions, resumeHelp, resumeTable, tableStatus } from "./table-state.ts";
import { type VerifyOptions, verifyHelp, verifyTopic } from "./table-verify.ts";

export function addTableCommands(program: Command, context: Context): void {
  const table = program
    .command("table")
    .description("list tables, commit them now, resume them, connect a query engine");
  table
    .command("list")
    .description("list the tables of topics")
    .action(() => listTables(context));
  table
    .command("flush <topic>")
    .description("translate and commit what the topic holds now")
    .action((topic: string) => flush(context, topic));
  table
    .command("status <topic>")
    .description("say how a table stands: state and reason, lag, rows, files, dead letters, snapshot")
    .action((topic: string) => tableStatus(context, topic));
  table
    .command("resume <topic>")
    .description("let a table that has paused go on")
    .option("--accept", "the table is right as it is")
    .option("--retranslate", "leave it alone and write a new one")
    .addHelpText("after", resumeHelp)
    .action((topic: string, options: ResumeOptions) => resumeTable(context, topic, options));
  table
    .command("connect <topic>")
    .description("print what to paste into a query engine")
    .addOption(new Option("-e, --engine <engine>", "which engine").choices(engines).default("duckdb"))
    .option("--catalog-uri <url>", "Iceberg REST catalog, as the engine reaches it (default: as the broker does)")
    .option("--warehouse <name>", "warehouse of the catalog (default: as the broker asks for)")
    .action((topic: string, options: ConnectOptions) => connect(context, topic, options));
  table
    .command("plan <topic>")
    .description("say what the topic's table would be, and write nothing")
    .option("-c, --config <file>", "YAML file whose block of the topic is tried")
    .addHelpText("after", planHelp)
    .action((topic: string, options: { readonly config?: string }) => planTopic(context, topic, options.config));
  table
    .command("at <topic>")
    .description("name the snapshot that first holds given records, for time travel by offset")
    .option("--offset <places>", "partition:offset of records, joined by commas")
    .option("--timestamp <time>", "all records up to this time")
    .addHelpText("after", atHelp)
    .action((topic: string, options: AtOptions) => tableAt(context, topic, options));
  table
    .command("verify <topic>")
    .description("prove that the table holds what the topic's records were translated into: each row once, unchanged")
    .option("--table <name>", "the table of this name that is built beside the topic's own (default: its own)")
    .option("--no-wait", "start it, or say how far it is, and leave")
    .addHelpText("after", verifyHelp)
    .action((topic: string, options: VerifyOptions) => verifyTopic(context, topic, options));
  table
    .command("replay-dlq <topic>")
    .description("put dead letters that can be rows by now into the table")
    .addOption(
      new Option("--undecided <choice>", "letters of a table with a key that the log says nothing of any more")
        .choices(undecidedChoices)
        .default("keep"),
    )
    .option("--no-wait", "start it, or say how far it is, and leave")
    .addHelpText("after", replayHelp)
    .action((topic: string, options: ReplayOptions) => replayTopic(context, topic, options));
  table
    .command("backfill <topic>")
    .description("bring the topic's history into a table that began behind it")
    .option(
      "--from-offset <places>",
      "partition:offset to begin at, joined by commas; partitions not named stay as they are",
    )
    .option("--from-timestamp <time>", "begin with records of this time")
    .option("--rate <bytes>", "of records a second, such as 50MiB/s (default: as fast as it goes)")
    .option("--into <table>", "build a table of this name beside the topic's own")
    .option("--stop", "end that")
    .addHelpText("after", backfillHelp)
    .action((topic: string, options: BackfillOptions) => backfillTopic(context, topic, options));
  table
    .command("orphans <topic>")
    .description("show the files with a table's that nothing names, or remove them")
    .option("--delete", "remove them")
    .option(
      "--older-than <age>",
      "leave younger ones alone; a day at least (default: maintain.orphans of the topic, 7d)",
    )
    .addHelpText("after", orphansHelp)
    .action((topic: string, options: OrphanOptions) => tableOrphans(context, topic, options));
}

interface TableRow {
  readonly topic: string;
  readonly catalog: string;
  readonly table: string;
  readonly state: string;
  readonly catalogUri?: string;
  readonly warehouse?: string;
  readonly [detail: string]: Row[string];
}

async function listTables(context: Context): Promise<void> {
  const tables = await tablesOf(context);
  if (context.format === "json") {
    printJson(context.terminal, tables);
    return;
  }
  const rows: readonly Row[] = tables.map(({ reason, trouble, ...table }) => ({ ...table, why: reason ?? trouble }));
  const details = ["rows", "files", "translation_lag", "commit_lag", "why"].filter((column) =>
    rows.some((row) => row[column] !== undefined),
  );
  printRows(context.terminal, "text", ["topic", "table", "catalog", "state", ...details], rows);
}

async function flush(context: Context, topic: string): Promise<void> {
  const answer = await callAdmin(context, "POST", `/v1/tables/${encodeURIComponent(topic)}/flush`);
  printJson(context.terminal, answer);
}

interface ConnectOptions {
  readonly engine: Engine;
  readonly catalogUri?: string;
  readonly warehouse?: string;
}

async function connect(context: Context, topic: string, options: ConnectOptions): Promise<void> {
  const { engine } = options;
  const found = (await tablesOf(context)).find((each) => each.topic === topic);
  if (found === undefined) throw new CommandFailed(`topic ${topic} has no table`, exitCodes.missing);
  const catalogUri = options.catalogUri ?? found.catalogUri;
  if (catalogUri === undefined)
    throw new CommandFailed(
      `catalog ${found.catalog} does not speak REST: give the engine its own settings for it, or say --catalog-uri`,
    );
  const warehouse = options.warehouse ?? found.warehouse ?? "";
  const text = recipe(engine, { catalogUri, warehouse, table: found.table });
  if (context.format === "json") printJson(context.terminal, { engine, text });
  else context.terminal.out(text);
}

async function tablesOf(context: Context): Promise<readonly TableRow[]> {
  const { tables } = (await callAdmin(context, "GET", "/v1/tables")) as { readonly tables: readonly TableRow[] };
  return tables;
}

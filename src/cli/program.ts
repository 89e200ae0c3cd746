/** The command line: what can be said, and the exit code of each end. */
import type { Readable } from "node:stream";
import { Command, CommanderError, Option } from "commander";
import { ConfigRefused } from "../config/problem.ts";
import { accessOptionsOf, addAccessOptions } from "./broker-access.ts";
import { addConfigCommands } from "./config-commands.ts";
import type { Context } from "./context.ts";
import { addGroupCommands } from "./group-commands.ts";
import { CommandFailed, exitCodes, type Format, reasonOf, type Terminal } from "./output.ts";
import { addRebuildCommand, type RebuildParts } from "./rebuild-command.ts";
import { addServerCommands, type ServerParts } from "./server-commands.ts";
import { addSqlCommand } from "./sql-command.ts";
import { addStorageCommands, type StorageParts } from "./storage-commands.ts";
import { addTableCommands } from "./table-commands.ts";
import { addTopicCommands } from "./topic-commands.ts";

export interface CliOptions {
  /** Without the program's name. */
  readonly args: readonly string[];
  readonly version: string;
  readonly terminal: Terminal;
  readonly input: Readable;
  graceful(): AbortSignal;
  readonly server: ServerParts;
  readonly storage: StorageParts & RebuildParts;
  randomId(): string;
}

/** Runs one command and resolves with the exit code. */
export async function runCli(options: CliOptions): Promise<number> {
  const program = programOf(options);
  try {
    await program.parseAsync([...options.args], { from: "user" });
    return exitCodes.ok;
  } catch (cause) {
    if (cause instanceof CommanderError) return cause.exitCode === 0 ? exitCodes.ok : exitCodes.usage; // It has been said.
    if (cause instanceof ConfigRefused) {
      const count = cause.problems.length;
      options.terminal.error(
        `${cause.message}\n${count} ${count === 1 ? "problem" : "problems"} in the configuration\n`,
      );
      return exitCodes.usage;
    }
    if (cause instanceof CommandFailed) {
      options.terminal.error(`inlet: ${cause.message}\n`);
      return cause.exitCode;
    }
    const reason = reasonOf(cause);
    if (reason === undefined) throw cause;
    options.terminal.error(`inlet: ${reason}\n`);
    return exitCodes.failed;
  }
}

function programOf(options: CliOptions): Command {
  const { terminal } = options;
  const program = new Command("inlet")
    .description("A Kafka-compatible broker on object storage whose topics are Apache Iceberg tables.")
    .version(options.version)
    .addOption(new Option("--format <format>", "how results are printed").choices(["text", "json"]).default("text"))
    .option("--json", "the same as --format json")
    .option("-b, --brokers <list>", "host:port of brokers, joined by commas", "127.0.0.1:9092");
  addAccessOptions(program);
  program
    .option("--admin <url>", "the broker's admin API", "http://127.0.0.1:8080")
    .addOption(new Option("--admin-token <token>", "what the admin API wants to be shown").env("INLET_HTTP_TOKEN"))
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.error(text) })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(add --help for what can be said)")
    .addHelpText("after", exitCodeHelp);
  const context: Context = {
    terminal,
    input: options.input,
    graceful: () => options.graceful(),
    randomId: () => options.randomId(),
    get format() {
      const { format, json } = program.opts<{ readonly format: Format; readonly json?: true }>();
      return json === true ? "json" : format;
    },
    get brokers() {
      return program.opts<{ readonly brokers: string }>().brokers;
    },
    get access() {
      return accessOptionsOf(program);
    },
    get admin() {
      return program.opts<{ readonly admin: string }>().admin.replace(/\/+$/, "");
    },
    get adminToken() {
      return program.opts<{ readonly adminToken?: string }>().adminToken;
    },
  };
  addServerCommands(program, context, options.server);
  addConfigCommands(program, context);
  addTopicCommands(program, context);
  addGroupCommands(program, context);
  addTableCommands(program, context);
  addSqlCommand(program, context);
  addStorageCommands(program, context, options.storage);
  addRebuildCommand(program, context, options.storage);
  for (const command of everyCommand(program)) command.copyInheritedSettings(program).exitOverride();
  return program;
}

const exitCodeHelp = `
Exit codes: ${exitCodes.ok} done, ${exitCodes.failed} failed, ${exitCodes.usage} wrong command line or configuration, ${exitCodes.unreachable} nothing answers, ${exitCodes.missing} not there, 130 interrupted.`;

function everyCommand(command: Command): readonly Command[] {
  return command.commands.flatMap((each) => [each, ...everyCommand(each)]);
}

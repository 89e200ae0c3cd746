/** inlet init and inlet config check|schema|print. */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { stringify } from "yaml";
import { hashPassword, passwordBytesMax } from "../auth/password-hash.ts";
import { systemRuntime } from "../base/runtime.ts";
import { ConfigRefused, originText } from "../config/problem.ts";
import { renderJsonSchema, renderStarterYaml } from "../config/render.ts";
import { type Config, defaultFile, loadConfig } from "../config.ts";
import type { Context } from "./context.ts";
import { CommandFailed, printJson } from "./output.ts";
import { addSettingFlags, type ConfigChoice, configChoice } from "./setting-flags.ts";

const schemaFile = "inlet.schema.json";

export function addConfigCommands(program: Command, context: Context): void {
  program
    .command("init")
    .argument("[file]", "where to write it", defaultFile)
    .description(`write a commented YAML file, and ${schemaFile} beside it for editors`)
    .option("-f, --force", "replace a file that is there")
    .action((file: string, options: { readonly force?: true }) => init(context, file, options.force === true));
  const config = program.command("config").description("check, print and describe the configuration");
  addSettingFlags(config.command("check"))
    .description("say everything that is wrong with the configuration")
    .action((_options: unknown, command: Command) => check(context, configChoice(command)));
  addSettingFlags(config.command("print"))
    .description("print what is in force, defaults included, secrets masked")
    .action((_options: unknown, command: Command) => print(context, configChoice(command)));
  config
    .command("schema")
    .description("print the JSON Schema of the YAML file")
    .action(() => context.terminal.out(renderJsonSchema()));
  config
    .command("hash-password")
    .description("read a password from standard input and print its hash, for sasl.users and sasl.users_file")
    .action(() => printHash(context));
}

function init(context: Context, file: string, isForced: boolean): void {
  try {
    writeFileSync(file, renderStarterYaml(`./${schemaFile}`), { flag: isForced ? "w" : "wx" });
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    const reason = cause.code === "EEXIST" ? `${file} is there already; --force replaces it` : cause.message;
    throw new CommandFailed(reason, undefined, { cause });
  }
  // The schema is ours to replace: it is rendered, and belongs to this version.
  writeFileSync(join(dirname(file), schemaFile), renderJsonSchema());
  context.terminal.out(`wrote ${file} and ${join(dirname(file), schemaFile)}\nnext: inlet start -c ${file}\n`);
}

function check(context: Context, choice: ConfigChoice): void {
  const { warnings, tables, catalogs } = context.format === "json" ? loadedOrSaid(context, choice) : loadConfig(choice);
  if (context.format === "json") printJson(context.terminal, { ok: true, warnings });
  else {
    for (const warning of warnings) context.terminal.out(`warning: ${warning}\n`);
    context.terminal.out(`ok: ${catalogs.size} catalogs, ${tables.length} topics with tables\n`);
  }
}

function loadedOrSaid(context: Context, choice: ConfigChoice): Config {
  try {
    return loadConfig(choice);
  } catch (cause) {
    if (!(cause instanceof ConfigRefused)) throw cause;
    const problems = cause.problems.map(({ origin, message, fix }) => {
      return { at: originText(origin), message, fix: fix ?? null };
    });
    printJson(context.terminal, { ok: false, problems });
    throw cause;
  }
}

/** From standard input, because arguments are seen by everybody on the machine and kept by shells. */
async function printHash({ terminal, input }: Context): Promise<void> {
  let text = "";
  for await (const chunk of input.setEncoding("utf8")) {
    text += chunk as string;
    if (Buffer.byteLength(text) > passwordBytesMax)
      throw new CommandFailed(`a password has ${passwordBytesMax} bytes at most`);
  }
  const password = Buffer.from(text.replace(/\r?\n$/, ""));
  if (password.length === 0) throw new CommandFailed("there is no password on standard input");
  terminal.out(`${await hashPassword(password, systemRuntime().random)}\n`);
}

function print(context: Context, choice: ConfigChoice): void {
  const { shown } = loadConfig(choice);
  if (context.format === "json") printJson(context.terminal, shown);
  else context.terminal.out(stringify(shown));
}

/** inlet start and inlet demo. The broker is loaded by them alone, so that the other commands start fast. */
import type { Command } from "commander";
import { type Config, loadConfig } from "../config.ts";
import type { Context } from "./context.ts";
import { CommandFailed } from "./output.ts";
import { addSettingFlags, type ConfigChoice, configChoice } from "./setting-flags.ts";

export interface ServerParts {
  openBroker(config: Config): Promise<RunningBroker>;
  /** Resolves with the exit code. */
  runDemo(options: DemoOptions): Promise<number>;
}

/** Disposing stops it gracefully: nothing acknowledged is lost. */
export interface RunningBroker extends AsyncDisposable {
  /** Resolves with the cause when the broker cannot go on. */
  readonly failed: Promise<unknown>;
}

export interface DemoOptions {
  readonly choice: ConfigChoice;
  /** End after the last check instead of serving on. */
  readonly exit: boolean;
  /** Aborts at the first signal from now on. */
  graceful(): AbortSignal;
  print(text: string): void;
}

export function addServerCommands(program: Command, context: Context, parts: ServerParts): void {
  addSettingFlags(program.command("start"))
    .description("run a broker until SIGTERM or SIGINT; a second one ends it at once")
    .action((_options: unknown, command: Command) => start(context, parts, configChoice(command)));
  addSettingFlags(program.command("demo"))
    .description("run a broker, send it real flights with a stock Kafka client, and query them as an Iceberg table")
    .option("--exit", "end with the last check; 0 only if every count agrees")
    .action((options: { readonly exit?: true }, command: Command) =>
      demo(context, parts, configChoice(command), options.exit === true),
    );
}

async function start(context: Context, parts: ServerParts, choice: ConfigChoice): Promise<void> {
  const config = loadConfig(choice);
  for (const warning of config.warnings) context.terminal.error(`inlet: ${warning}\n`);
  // Until it is open a signal ends it at once, as a crash does: what it has taken by then is durable.
  await using broker = await parts.openBroker(config);
  const ended = await Promise.race([broker.failed.then((cause) => ({ cause })), aborted(context.graceful())]);
  if (ended === undefined) return;
  const reason = ended.cause instanceof Error ? ended.cause.message : String(ended.cause);
  throw new CommandFailed(`the broker cannot go on: ${reason}`, undefined, { cause: ended.cause });
}

async function demo(context: Context, parts: ServerParts, choice: ConfigChoice, exit: boolean): Promise<void> {
  const print = (text: string): void => context.terminal.out(text);
  const code = await parts.runDemo({ choice, exit, graceful: () => context.graceful(), print });
  if (code !== 0) throw new CommandFailed("the demo's counts do not agree");
}

function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined), { once: true }));
}

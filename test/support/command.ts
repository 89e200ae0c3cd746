/** `inlet` as a process would run it, in this one: what it said, and the code that it ends with. */
import { Readable } from "node:stream";
import type { Broker } from "../../src/broker.ts";
import { type CliOptions, runCli } from "../../src/cli/program.ts";

export interface CommandResult {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Without a broker or storage of its own, unless `options` have them. */
export async function inlet(
  args: readonly string[],
  { input = "", ...options }: Partial<Omit<CliOptions, "input">> & { readonly input?: string } = {},
): Promise<CommandResult> {
  let out = "";
  let error = "";
  const refuse = () => Promise.reject(new Error("not here"));
  const code = await runCli({
    args,
    version: "1.2.3",
    terminal: { out: (text) => (out += text), error: (text) => (error += text) },
    input: Readable.from(input === "" ? [] : [input]),
    graceful: () => new AbortController().signal,
    server: { openBroker: refuse, runDemo: () => Promise.resolve(0) },
    storage: { openStorage: refuse, rebuild: refuse },
    randomId: () => "x",
    ...options,
  });
  return { code, out, error };
}

/** Asks the broker. */
export async function inletAt(
  { addresses }: Pick<Broker, "addresses">,
  args: readonly string[],
  input = "",
): Promise<CommandResult> {
  return await inlet(["--admin", addresses.http, "--brokers", addresses.kafka, ...args], { input });
}

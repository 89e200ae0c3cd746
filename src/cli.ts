/** The entry of the command `inlet`. bin/inlet starts it under a Node that can run it. */
import { readFileSync } from "node:fs";
import { uuidRandom } from "./base/ids.ts";
import { systemRuntime } from "./base/runtime.ts";
import { runCli } from "./cli/program.ts";
import type { ServerParts } from "./cli/server-commands.ts";
import { watchSignals } from "./cli/signals.ts";

const { clock, random } = systemRuntime();
const signals = watchSignals(
  clock,
  (name, listener) => process.on(name, listener),
  (code) => process.exit(code),
);
process.exitCode = await runCli({
  args: process.argv.slice(2),
  version: version(),
  terminal: { out: (text) => void process.stdout.write(text), error: (text) => void process.stderr.write(text) },
  input: process.stdin,
  signal: signals.signal,
  server: {
    openBroker: async (config) => (await part("broker")).openBroker(config),
    runDemo: async (options) => (await part("demo")).runDemo(options),
  },
  randomId: () => uuidRandom(random).slice(0, 8),
});

/** Loads broker.ts or demo.ts, or what they were compiled to. */
async function part(name: "broker" | "demo"): Promise<ServerParts> {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return (await import(new URL(`./${name}.${extension}`, import.meta.url).href)) as ServerParts;
}

/** From the package.json nearest above: beside src, or above dist/src. */
function version(): string {
  for (const up of ["../package.json", "../../package.json"]) {
    const file = new URL(up, import.meta.url);
    try {
      return (JSON.parse(readFileSync(file, "utf8")) as { readonly version: string }).version;
    } catch (cause) {
      if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) throw cause;
    }
  }
  return "unknown";
}

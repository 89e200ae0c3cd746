/** The entry of the command `inlet`. bin/inlet starts it under a Node that can run it. */
import { readFileSync } from "node:fs";
import { uuidRandom } from "./base/ids.ts";
import { systemRuntime } from "./base/runtime.ts";
import { runCli } from "./cli/program.ts";
import { watchSignals } from "./cli/signals.ts";

const { clock, random } = systemRuntime();
// A launcher that was killed could not pass anything on: its end of the channel closing says that it is gone.
const signals = watchSignals(
  clock,
  (name, listener) => void process.on(name, listener),
  (code) => process.exit(code),
);
// The reader of a pipe (`| head`) may leave before everything is said: that is no failure.
process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
  if (cause.code !== "EPIPE") throw cause;
  process.exit(0);
});
process.on("disconnect", () => signals.stop());
process.channel?.unref(); // Listening for it would keep a command that is done from ending.
process.exitCode = await runCli({
  args: process.argv.slice(2),
  version: version(),
  terminal: { out: (text) => void process.stdout.write(text), error: (text) => void process.stderr.write(text) },
  input: process.stdin,
  graceful: () => signals.graceful(),
  // Loaded when a command needs them: the others start without a broker in memory.
  server: {
    openBroker: async (config) => (await import("./broker.ts")).openBroker(config),
    runDemo: async (options) => (await import("./demo.ts")).runDemo(options),
  },
  storage: {
    openStorage: async (config) => (await import("./offline-storage.ts")).openOfflineStorage(config),
    rebuild: async (config, from) => (await import("./rebuild.ts")).rebuild(config, from),
  },
  randomId: () => uuidRandom(random).slice(0, 8),
});

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

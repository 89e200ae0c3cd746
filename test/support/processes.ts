/** Child processes for tests: started, waited for, and stopped. Their output goes to `.cache/logs/<name>.log` too. */
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";

export const checkout = resolve(import.meta.dirname, "../..");

export async function freePort(): Promise<number> {
  return await new Promise((done, failed) => {
    const server = createServer();
    server.once("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

export interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  output(): string;
}

/** Starts a server and waits until `ready` says so. */
export async function start(
  name: string,
  file: string,
  args: readonly string[],
  options: {
    readonly ready: (output: string) => boolean | Promise<boolean>;
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    readonly timeoutMs?: number;
  },
): Promise<Running> {
  mkdirSync(join(checkout, ".cache/logs"), { recursive: true });
  const log = createWriteStream(join(checkout, ".cache/logs", `${name}.log`));
  const child = spawn(file, args, {
    cwd: options.cwd ?? checkout,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let exited = false;
  child.on("exit", () => {
    exited = true;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-200_000);
      log.write(chunk);
    });
  }
  const deadline = Date.now() + (options.timeoutMs ?? 120_000);
  for (;;) {
    if (await options.ready(output)) break;
    if (exited || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`${name} ${exited ? "exited" : "was not ready in time"}:\n${output.slice(-4000)}`);
    }
    await new Promise((resume) => setTimeout(resume, 200));
  }
  return {
    child,
    output: () => output,
    async [Symbol.asyncDispose]() {
      if (!exited) {
        child.kill("SIGTERM");
        const killer = setTimeout(() => child.kill("SIGKILL"), 10_000);
        await new Promise((done) => (exited ? done(undefined) : child.once("exit", done)));
        clearTimeout(killer);
      }
      log.end();
    },
  };
}

/** Whether an HTTP GET is answered with a status below 500. */
export async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).status < 500;
  } catch {
    return false; // Nobody listens yet.
  }
}

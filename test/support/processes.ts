/** Child processes for tests: started, waited for, and stopped. Their output goes to `.cache/logs/<name>.log` too. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { createWriteStream, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { threadId } from "node:worker_threads";

export const checkout = resolve(import.meta.dirname, "../..");

/** The next in turn: one that is free now may be that of a server that is about to come back. */
export async function freePort(): Promise<number> {
  const first = portMin + ((process.pid + threadId) % portSlices) * portsOfSlice;
  for (let tried = 0; tried < portsOfSlice; tried += 1) {
    const port = first + (portsGiven % portsOfSlice);
    portsGiven += 1;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port is free from ${first} to ${first + portsOfSlice - 1}`);
}

/** Below the range from which systems give ports to outgoing connections: those come and go before the port is used. */
const portMin = 10_000;
/** Processes that run at the same time take theirs from slices of their own, nearly always. */
const [portSlices, portsOfSlice] = [44, 500];
let portsGiven = randomInt(portsOfSlice);

async function isFree(port: number): Promise<boolean> {
  return await new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(false));
    server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
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

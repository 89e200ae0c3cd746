/** A real PostgreSQL of the system's packages, in a directory of its own, reached with a password. */
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { freePort, type Running, start } from "../test/support/processes.ts";
import { command } from "./tools.ts";

export interface PostgresServer extends AsyncDisposable {
  readonly port: number;
  readonly password: string;
  /** Of the database that is there from the start. */
  url(parameters?: Readonly<Record<string, string>>): string;
  /** Ends all processes at once, without a word to the disk, and starts again from what is there. */
  crash(): Promise<void>;
}

/** Starts a server on a free loopback port. It refuses to be root, so it is given to another user then. */
export async function startPostgres(options: { readonly directory: string }): Promise<PostgresServer> {
  const bin = await postgresBin();
  const directory = resolve(options.directory);
  const data = join(directory, "data");
  const password = `p@ss/${randomBytes(12).toString("hex")}`; // Whoever forgets to decode it is found out.
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "password"), password, { mode: 0o600 });
  const as = await anotherUser([directory, join(directory, "password")]);
  const init = [join(bin, "initdb"), "-D", data, "-U", "inlet", "-A", "scram-sha-256"];
  await run([...as, ...init, "--pwfile", join(directory, "password"), "-E", "UTF8", "--locale=C"]);
  const port = await freePort();
  const flags = ["-D", data, "-p", String(port), "-k", directory, "-c", "listen_addresses=127.0.0.1"];
  const launch = (): Promise<Running> => {
    const [file = "", ...args] = [...as, join(bin, "postgres"), ...flags];
    return start("postgres", file, args, { ready: (output) => output.includes("ready to accept connections") });
  };
  let server = await launch();
  const ended = (): Promise<unknown> => new Promise((done) => server.child.once("exit", done));
  return {
    port,
    password,
    url: (parameters = {}) =>
      `postgres://inlet:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres?${new URLSearchParams(parameters).toString()}`,
    async crash() {
      const exit = ended();
      server.child.kill("SIGQUIT"); // "Immediate": its children end where they stand.
      await exit;
      server = await launch();
    },
    async [Symbol.asyncDispose]() {
      const exit = ended();
      server.child.kill("SIGINT"); // "Fast": it does not wait for clients.
      await exit;
    },
  };
}

/** The directory of its programs: of the newest version that is installed, or is installed now. */
async function postgresBin(): Promise<string> {
  const root = "/usr/lib/postgresql";
  const versions = (): readonly string[] =>
    (existsSync(root) ? readdirSync(root) : []).filter((name) => existsSync(join(root, name, "bin/initdb")));
  if (versions().length === 0) {
    await run(["apt-get", "update", "-q"]);
    await run(["apt-get", "install", "-q", "-y", "--no-install-recommends", "postgresql"]);
  }
  const newest = versions().toSorted((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) throw new Error(`no PostgreSQL below ${root}: install the package postgresql`);
  return join(root, newest, "bin");
}

/** What to put before a command so that it is not run by root; the paths are given to that user. */
async function anotherUser(paths: readonly string[]): Promise<readonly string[]> {
  if (process.getuid?.() !== 0) return [];
  const uid = Number((await run(["id", "-u", "nobody"])).trim());
  for (const path of paths) chownSync(path, uid, uid);
  return ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--"];
}

function run([file = "", ...args]: readonly string[]): Promise<string> {
  return command(file, args, { cwd: "/" });
}

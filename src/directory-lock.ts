/** One process a data directory. Node has no flock, so a lock file names who holds it; a holder that is gone holds nothing. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperationFailed } from "./base/errors.ts";

const fileName = "inlet.lock";

/** Throws when a live process holds the directory. Dispose of the lock after everything in the directory is closed. */
export function lockDirectory(directory: string): Disposable {
  const path = join(directory, fileName);
  const unusable = (cause: unknown): OperationFailed =>
    new OperationFailed(`data.directory: ${directory} cannot be used: ${(cause as Error).message}`, {
      happened: "no",
      cause,
    });
  try {
    mkdirSync(directory, { recursive: true });
  } catch (cause) {
    throw unusable(cause);
  }
  const own = { pid: process.pid, startedAt: startOf(process.pid) };
  for (;;) {
    try {
      writeFileSync(path, JSON.stringify(own), { flag: "wx" });
      return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw unusable(cause);
    }
    const holder = readHolder(path);
    if (holder !== undefined && isAlive(holder)) {
      const message = `${directory} is in use by process ${holder.pid}: stop it, or set data.directory to another place`;
      throw new OperationFailed(message, { happened: "no" });
    }
    rmSync(path, { force: true }); // Its holder died without cleaning up.
  }
}

/** The process that holds the directory, if one does. Changes nothing. */
export function holderOf(directory: string): number | undefined {
  const holder = readHolder(join(directory, fileName));
  return holder !== undefined && isAlive(holder) ? holder.pid : undefined;
}

interface Holder {
  readonly pid: number;
  /** In the clock ticks that /proc counts in; tells a process from a later one with the same pid. "" where there is no /proc. */
  readonly startedAt: string;
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Holder;
  } catch {
    return undefined; // Torn by a crash while it was written, or just removed: nobody's.
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.pid === process.pid) return holder.startedAt === startOf(process.pid);
  try {
    process.kill(holder.pid, 0);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EPERM") return false; // EPERM: it lives, and is somebody else's.
  }
  if (["Z", "X"].includes(statOf(holder.pid)[0] ?? "")) return false; // It has ended; only its parent has not noticed yet.
  return holder.startedAt === "" || holder.startedAt === startOf(holder.pid);
}

function startOf(pid: number): string {
  return statOf(pid)[19] ?? "";
}

/** The fields of /proc/<pid>/stat from the state on; none when this is not Linux, or the process has just ended. */
function statOf(pid: number): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

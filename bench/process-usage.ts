/** What a process and its children have used so far, from /proc (Linux only). */
import { readdirSync, readFileSync } from "node:fs";

export interface Usage {
  readonly cpuSeconds: number;
  /** Bytes that reached the block layer. */
  readonly diskBytesWritten: number;
  readonly residentBytes: number;
}

/** Ticks a second of /proc/<pid>/stat; 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

export function usage(pid: number): Usage {
  const pids = [pid, ...descendants(pid)];
  const sum = { cpuSeconds: 0, diskBytesWritten: 0, residentBytes: 0 };
  for (const one of pids) {
    const stat = readFileSync(`/proc/${one}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    sum.cpuSeconds += (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    sum.diskBytesWritten += Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${one}/io`, "utf8"))?.[1] ?? 0);
    sum.residentBytes += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${one}/status`, "utf8"))?.[1] ?? 0) * 1024;
  }
  return sum;
}

function descendants(pid: number): readonly number[] {
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => parentOf(one) === pid);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined; // It ended between the listing and the look.
  }
}

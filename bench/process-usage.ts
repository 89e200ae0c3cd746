/** What a process and its children, and the disk below a directory, have used so far, from /proc and /sys (Linux only). */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";

export interface Usage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** Ticks a second of /proc/<pid>/stat; 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

export function usage(pid: number): Usage {
  const pids = [pid, ...descendants(pid)];
  const sum = { cpuSeconds: 0, residentBytes: 0 };
  for (const one of pids) {
    const stat = readFileSync(`/proc/${one}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    sum.cpuSeconds += (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    sum.residentBytes += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${one}/status`, "utf8"))?.[1] ?? 0) * 1024;
  }
  return sum;
}

/**
 * Bytes that the directory's device has written, for whatever process, what waits in the page cache included. The counter of
 * a process would not do: it counts a whole folio of up to megabytes each time a part of it becomes dirty.
 */
export function diskBytesWritten(directory: string): number {
  execFileSync("sync", ["-f", directory]);
  const { dev } = statSync(directory); // As Linux packs it: 12 bits of major number between 8 and 12 bits of minor.
  const stat = readFileSync(
    `/sys/dev/block/${(dev >>> 8) & 0xfff}:${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}/stat`,
    "utf8",
  );
  return Number(stat.trim().split(/\s+/)[6]) * sectorBytes;
}

/** Of the kernel's counters, whatever the device's own are. */
const sectorBytes = 512;

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

/**
 * The file WAL on the disk of this machine: MiB/s, groups and CPU seconds per GiB, with as many appends waiting as clients
 * would keep open. Twice: into fresh segments, whose zeros are written at the same time, and into segments used again.
 *
 *   npm run bench -- wal [directory]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NodeEpoch, Offset, Owned, StreamId } from "../src/base/ids.ts";
import { systemRuntime } from "../src/base/runtime.ts";
import { KiB, MiB } from "../src/base/settings.ts";
import { Slabs } from "../src/base/slabs.ts";
import { systemDisk } from "../src/base/system-disk.ts";
import type { Logger } from "../src/base/telemetry.ts";
import { FileWal } from "../src/stream/file-wal.ts";
import type { WalPosition } from "../src/stream/wal.ts";

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
const limits = {
  walBytesMax: 256 * MiB,
  walSegmentBytes: 64 * MiB,
  walGroupBytesMax: 8 * MiB,
  walGroupsInFlightMax: 3,
  walLingerMs: 0,
  walIdleMs: 1000,
};

const bytesTotal = 1024 * MiB;

export async function benchWal(parent = tmpdir()): Promise<void> {
  const directory = await mkdtemp(join(parent, "inlet-wal-"));
  const runtime = systemRuntime();
  const wal = new FileWal({ disk: systemDisk, directory, nodeEpoch: 1 as NodeEpoch, runtime, limits, logger: silent });
  await wal.recover(() => undefined);
  console.log("record   waiting  segments      MiB/s  appends/s  p50 ms  p99 ms  CPU s/GiB");
  for (const [recordBytes, waiting] of [
    [64 * KiB, 64],
    [64 * KiB, 64],
    [64 * KiB, 4],
    [1 * KiB, 512],
    [1 * KiB, 32],
    [1 * KiB, 1],
  ] as const) {
    await measure(wal, recordBytes, waiting);
  }
  await wal[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
}

async function measure(wal: FileWal, recordBytes: number, waiting: number): Promise<void> {
  const isFresh = wal.durable < limits.walBytesMax;
  const count = Math.min(waiting * 4000, Math.floor(bytesTotal / recordBytes));
  const slabs = new Slabs();
  const source = new Uint8Array(recordBytes).fill(7);
  const delays: number[] = [];
  let started = 0;
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const writer = async (): Promise<void> => {
    while (started < count) {
      started += 1;
      const beganMs = performance.now();
      const end = await append(wal, slabs.copy(source));
      delays.push(performance.now() - beganMs);
      if (end % (16 * MiB) < recordBytes) await wal.trim(end);
    }
  };
  await Promise.all(Array.from({ length: waiting }, writer));
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  delays.sort((a, b) => a - b);
  const mib = (count * recordBytes) / MiB;
  const columns = [
    `${recordBytes / KiB} KiB`.padEnd(8),
    String(waiting).padStart(7),
    (isFresh ? "fresh" : "used again").padStart(10),
    (mib / seconds).toFixed(1).padStart(10),
    (count / seconds).toFixed(0).padStart(10),
    (delays[Math.floor(count * 0.5)] as number).toFixed(2).padStart(7),
    (delays[Math.floor(count * 0.99)] as number).toFixed(2).padStart(7),
    ((user + system) / 1e6 / (mib / 1024)).toFixed(2).padStart(10),
  ];
  console.log(columns.join(" "));
}

function append(wal: FileWal, bytes: Owned): Promise<WalPosition> {
  return new Promise((resolve, reject) => {
    const [from, to] = [0 as Offset, 1 as Offset];
    const record = {
      stream: 1 as StreamId,
      epoch: 1,
      after: from,
      from,
      to,
      maxTimestamp: -1,
      bytes,
      label: bytes.subarray(0, 0),
    };
    wal.append({ ...record, durable: resolve, failed: reject });
  });
}

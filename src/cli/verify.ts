/** Runs the verification and tells what it found. */
import type { StorageProblem } from "../inspect/problem.ts";
import { type StorageReport, verifyStorage } from "../inspect/verify.ts";
import type { Context } from "./context.ts";
import type { Terminal } from "./output.ts";
import type { OfflineStorage } from "./storage-commands.ts";

/**
 * While a broker is at work, an object may be replaced, and the WAL trimmed, between two looks. What is wrong is wrong
 * twice, so only that is told.
 */
export async function verified(context: Context, storage: OfflineStorage): Promise<StorageReport> {
  const first = await verifyStorage(storage);
  if (first.problems.length === 0 || storage.brokerPid === undefined) return first;
  context.terminal.error("inlet: looking again, since a broker is at work\n");
  const before = new Set(first.problems.map(nameOf));
  const second = await verifyStorage(storage);
  return { ...second, problems: second.problems.filter((problem) => before.has(nameOf(problem))) };
}

function nameOf({ kind, where }: StorageProblem): string {
  return `${kind} ${where}`;
}

export function printReport(
  terminal: Terminal,
  { counts, problems, problemsLeftOut, collectable }: StorageReport,
): void {
  const facts = [
    `WAL       ${counts.walSegments} segments, ${counts.walSlots} slots, ${counts.walRecords} records, the chain holds together`,
    `metadata  up to entry ${counts.metadataSeq}: ${counts.streams} streams, ${counts.ranges} ranges`,
    `objects   ${counts.objects} named, ${counts.blocks} blocks, ${counts.batches} batches, ${counts.bytes} bytes read and checked`,
    `garbage   ${counts.collectable} objects to be collected${collectable.length === 0 ? "" : `: ${collectable.join(" ")}`}`,
  ];
  const isWalBroken = problems.some(({ kind }) => kind === "corrupt-wal");
  if (isWalBroken) facts[0] = "WAL       the chain is broken";
  terminal.out(`${facts.join("\n")}\n`);
  for (const { kind, where, detail, advice } of problems)
    terminal.out(`\n${kind}: ${where}\n  ${detail}\n  ${advice}\n`);
  if (problemsLeftOut > 0) terminal.out(`\nand ${problemsLeftOut} more\n`);
  if (problems.length === 0) terminal.out("ok: everything is there, once, and as it was written\n");
}

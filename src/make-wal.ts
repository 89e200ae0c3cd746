/** The WAL of the kind that is set. */
import { join } from "node:path";
import { OperationFailed } from "./base/errors.ts";
import type { CoreOptions } from "./core.ts";
import type { MetadataClient } from "./metadata/client.ts";
import { FileWal } from "./stream/file-wal.ts";
import { ObjectWal } from "./stream/object-wal.ts";
import { ReplicatedWal } from "./stream/replicated-wal.ts";
import type { Wal } from "./stream/wal.ts";

export type WalOptions = Pick<CoreOptions, "settings" | "runtime" | "disk" | "store" | "logger" | "metrics"> & {
  readonly metadata: MetadataClient;
};

/** Not recovered yet. Refuses to start when the WAL of the other kind holds records that no object has. */
export async function makeWal(options: WalOptions): Promise<Wal> {
  const { metadata, metrics, logger, settings } = options;
  if (settings.walKind === "replicated") {
    const onLoss = settings.walOnLoss === "continue" ? "continue" : "stop";
    const halves = [fileWal(options), objectWal(options)] as const;
    return new ReplicatedWal({ halves, onLoss, logger, isAlone: metrics.walIsAlone });
  }
  if (settings.walKind === "object") {
    await retireFiles(options);
    return objectWal(options);
  }
  if (metadata.image.wals(metadata.nodeId).length > 0) {
    await requireEmpty(options, objectWal(options), "object");
    // Nobody may take this node over as if its records lay in the store: no WAL of this process, nor of one before, is left.
    const epoch = (metadata.nodeEpoch + 1) as MetadataClient["nodeEpoch"];
    await metadata.propose([{ kind: "advance-wal", nodeId: metadata.nodeId, epoch, slot: 0 }]);
  }
  return fileWal(options);
}

function objectWal({ settings, ...parts }: WalOptions): ObjectWal {
  return new ObjectWal({ ...parts, limits: settings });
}

function fileWal({ settings, metadata, ...parts }: WalOptions): FileWal {
  const directory = fileWalDirectory(settings);
  return new FileWal({ ...parts, directory, nodeEpoch: metadata.nodeEpoch, limits: settings });
}

function fileWalDirectory({ dataDirectory }: WalOptions["settings"]): string {
  return join(dataDirectory, "wal");
}

async function retireFiles(options: WalOptions): Promise<void> {
  const { disk, settings } = options;
  const directory = fileWalDirectory(settings);
  await disk.makeDirectory(directory);
  if ((await disk.list(directory)).length === 0) return;
  await requireEmpty(options, fileWal(options), "file");
  for (const { name } of await disk.list(directory)) await disk.remove(join(directory, name));
  await disk.syncDirectory(directory);
}

async function requireEmpty({ metadata }: WalOptions, wal: Wal, kind: string): Promise<void> {
  let count = 0;
  await using _wal = wal;
  await wal.recover((record) => {
    const stream = metadata.image.stream(record.stream);
    if (stream !== undefined && stream.node === metadata.nodeId && record.to > stream.end) count += 1;
  });
  if (count === 0) return;
  throw new OperationFailed(
    `the WAL of kind ${kind} holds ${count} records that no object has: start once with wal.kind ${kind} and stop the broker`,
    { happened: "no" },
  );
}

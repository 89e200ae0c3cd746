/** The WAL of the kind that is set. */
import { join } from "node:path";
import type { CoreOptions } from "./core.ts";
import type { MetadataClient } from "./metadata/client.ts";
import { FileWal } from "./stream/file-wal.ts";
import { ObjectWal } from "./stream/object-wal.ts";
import type { Wal } from "./stream/wal.ts";

export type WalOptions = Pick<CoreOptions, "settings" | "runtime" | "disk" | "store" | "logger"> & {
  readonly metadata: MetadataClient;
};

export function makeWal(options: WalOptions): Wal {
  return options.settings.walKind === "object" ? objectWal(options) : fileWal(options);
}

function objectWal({ settings, ...parts }: WalOptions): ObjectWal {
  return new ObjectWal({ ...parts, limits: settings });
}

function fileWal({ settings, metadata, ...parts }: WalOptions): FileWal {
  const directory = join(settings.dataDirectory, "wal");
  return new FileWal({ ...parts, directory, nodeEpoch: metadata.nodeEpoch, limits: settings });
}

/** A broker's data seen from outside of it: the same directories and bucket, opened so that nothing in them changes. */
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { NodeId } from "./base/ids.ts";
import { systemRuntime } from "./base/runtime.ts";
import { systemDisk } from "./base/system-disk.ts";
import type { OfflineStorage } from "./cli/storage-commands.ts";
import type { Config } from "./config.ts";
import { holderOf } from "./directory-lock.ts";
import { readImage } from "./inspect/metadata.ts";
import { overlayDisk } from "./inspect/overlay-disk.ts";
import { objectStoreLimits } from "./limits.ts";
import type { CasLog } from "./metadata/cas-log.ts";
import { openFileLog } from "./metadata/file-log.ts";
import { openObjectStore } from "./object-store/open.ts";

export async function openOfflineStorage({ settings }: Config): Promise<OfflineStorage> {
  const directory = resolve(settings.dataDirectory);
  const metadataDirectory = join(directory, "metadata");
  const storeUrl = settings.objectStoreUrl || pathToFileURL(join(directory, "objects")).href;
  const store = await openObjectStore(storeUrl, {
    runtime: systemRuntime(),
    disk: overlayDisk(systemDisk),
    limits: objectStoreLimits(settings),
    metrics: undefined,
  });
  // An overlay for each look at the log: it must not remember what the directory was.
  const openLog = (): Promise<CasLog> =>
    openFileLog({
      directory: metadataDirectory,
      disk: overlayDisk(systemDisk),
      segmentBytesMax: settings.metadataSegmentBytesMax,
    });
  return {
    disk: systemDisk,
    node: settings.nodeId as NodeId,
    walDirectory: join(directory, "wal"),
    metadataDirectory,
    store,
    brokerPid: holderOf(directory),
    openLog,
    async readImage() {
      await using log = await openLog();
      return await readImage(log);
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** A broker's data seen from outside of it: the same directories and bucket, opened so that nothing in them changes. */
import { join, resolve } from "node:path";
import type { NodeId } from "./base/ids.ts";
import { systemRuntime } from "./base/runtime.ts";
import { systemDisk } from "./base/system-disk.ts";
import type { Logger } from "./base/telemetry.ts";
import type { OfflineStorage } from "./cli/storage-commands.ts";
import type { Config } from "./config.ts";
import { holderOf } from "./directory-lock.ts";
import { readImage } from "./inspect/metadata.ts";
import { overlayDisk } from "./inspect/overlay-disk.ts";
import { objectStoreLimits } from "./limits.ts";
import type { CasLog } from "./metadata/cas-log.ts";
import { openMetadataLog } from "./metadata/open.ts";
import { type ObjectStoreDeps, openObjectStore } from "./object-store/open.ts";
import { metadataLogDeps, storeUrlOf } from "./stores.ts";

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

export async function openOfflineStorage({ settings }: Config): Promise<OfflineStorage> {
  const directory = resolve(settings.dataDirectory);
  const metadataDirectory = join(directory, "metadata");
  const located = { ...settings, dataDirectory: directory };
  const storeDeps = (): ObjectStoreDeps => ({
    runtime: systemRuntime(),
    disk: overlayDisk(systemDisk),
    limits: objectStoreLimits(settings),
    metrics: undefined,
  });
  const store = await openObjectStore(storeUrlOf(located), storeDeps());
  // An overlay for each look at the log: it must not remember what the directory was.
  const openLog = (): Promise<CasLog> =>
    openMetadataLog(
      metadataLogDeps({ settings: located, store, storeDeps: storeDeps(), logger: silent, probesBucket: false }),
    );
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

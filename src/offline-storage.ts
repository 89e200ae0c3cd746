/** A broker's data seen from outside of it: the same directories and bucket, opened so that nothing in them changes. */
import { join, resolve } from "node:path";
import type { NodeId } from "./base/ids.ts";
import { systemRuntime } from "./base/runtime.ts";
import { systemDisk } from "./base/system-disk.ts";
import { silentLogger } from "./base/telemetry.ts";
import type { OfflineStorage } from "./cli/storage-commands.ts";
import type { Config } from "./config.ts";
import { holderOf } from "./directory-lock.ts";
import { readImage } from "./inspect/metadata.ts";
import { overlayDisk } from "./inspect/overlay-disk.ts";
import { objectStoreLimits } from "./limits.ts";
import type { CasLog } from "./metadata/cas-log.ts";
import { openObjectLog } from "./metadata/object-log.ts";
import { isBucketUrl, metadataDirectoryOf, openMetadataLog } from "./metadata/open.ts";
import { openObjectStore } from "./object-store/open.ts";
import { metadataLogDeps, storeUrlOf } from "./stores.ts";

export async function openOfflineStorage({ settings: given }: Config): Promise<OfflineStorage> {
  const settings = { ...given, dataDirectory: resolve(given.dataDirectory) };
  // An overlay for each look: it must not remember what a directory was.
  const storeDeps = () => ({
    runtime: systemRuntime(),
    disk: overlayDisk(systemDisk),
    limits: objectStoreLimits(settings),
    metrics: undefined,
  });
  const store = await openObjectStore(storeUrlOf(settings), storeDeps());
  const openLog = async (): Promise<CasLog> => {
    const deps = metadataLogDeps({ settings, store, storeDeps: storeDeps(), logger: silentLogger });
    // Another bucket is opened without the probe of its conditional writes, which writes.
    if (!isBucketUrl(deps.url)) return await openMetadataLog(deps);
    return openObjectLog({ store: await openObjectStore(deps.url, deps.storeDeps), closesStore: true });
  };
  const logDeps = metadataLogDeps({ settings, store, storeDeps: storeDeps(), logger: silentLogger });
  return {
    disk: systemDisk,
    node: settings.nodeId as NodeId,
    walDirectory: join(settings.dataDirectory, "wal"),
    metadataDirectory: metadataDirectoryOf(logDeps),
    store,
    runtime: systemRuntime(),
    brokerPid: holderOf(settings.dataDirectory),
    openLog,
    async readImage() {
      await using log = await openLog();
      return await readImage(log);
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

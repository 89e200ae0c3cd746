/**
 * Makes a cluster's metadata again from the bucket alone:
 *
 *   newest copy of the metadata ──▶ image ──▶ what objects say that it misses ──▶ a new log, begun behind all that was
 *
 * The new log's seqs start far beyond the lost ones, since epochs of nodes are seqs: whatever a process wrote that nobody knows
 * of any more was written under a smaller epoch.
 */
import { resolve } from "node:path";
import { goneBlockEntries } from "../schemas/storage.ts";
import { joined } from "./base/bytes.ts";
import { OperationFailed } from "./base/errors.ts";
import { type NodeEpoch, type NodeId, type Seq, uuidRandom } from "./base/ids.ts";
import { type Runtime, systemRuntime } from "./base/runtime.ts";
import { systemDisk } from "./base/system-disk.ts";
import { silentLogger } from "./base/telemetry.ts";
import type { Rebuilt } from "./cli/rebuild-command.ts";
import type { Config } from "./config.ts";
import { lockDirectory } from "./directory-lock.ts";
import { objectStoreLimits } from "./limits.ts";
import { adoptObjects, advanceWals } from "./log/adopt-objects.ts";
import type { Beginning } from "./metadata/cas-log.ts";
import { encodeImage } from "./metadata/checkpoint.ts";
import { encodeCheckpoint } from "./metadata/checkpoint-file.ts";
import { chained } from "./metadata/entry-format.ts";
import { encodeGroups } from "./metadata/event-codec.ts";
import { ImageState } from "./metadata/image-state.ts";
import { mirrorNames, type RecoveredImage, readBucketLog, readMirror } from "./metadata/mirror-files.ts";
import { beginMetadataLog } from "./metadata/open.ts";
import type { ObjectStore } from "./object-store/object-store.ts";
import { openObjectStore } from "./object-store/open.ts";
import { metadataLogDeps, storeUrlOf } from "./stores.ts";
import { type Salvage, salvage } from "./stream/salvage.ts";

/** More than a cluster can have appended while its copy in the bucket lagged. */
const seqsSkipped = 1_000_000;

/** Throws LogNotEmpty when the place of the new log holds one already. `from`: the bucket, if not the configured one. */
export async function rebuild(config: Config, from: string | undefined): Promise<Rebuilt> {
  const settings = { ...config.settings, dataDirectory: resolve(config.settings.dataDirectory) };
  using _lock = lockDirectory(settings.dataDirectory);
  const runtime = systemRuntime();
  const storeDeps = { runtime, disk: systemDisk, limits: objectStoreLimits(settings), metrics: undefined };
  await using store = await openObjectStore(from ?? storeUrlOf(settings), storeDeps);
  const copy = await newestCopy(store);
  const image = copy?.image ?? new ImageState();
  const recoveredTo = image.seq;
  const found = await salvage(store, image);
  if (copy === undefined && found.objects.length === 0)
    throw new OperationFailed(`${store.url} holds neither a copy of the metadata nor objects`, { happened: "no" });
  if (copy === undefined) image.clusterId = (found.objects.at(-1) as (typeof found.objects)[number]).cluster;
  const adoption = adoptObjects(image, found.objects, runtime.random);
  advanceWals(image, found.keys, runtime.random);
  const beginning = beginAfter(image, found, runtime);
  await beginMetadataLog(metadataLogDeps({ settings, store, storeDeps, logger: silentLogger }), beginning);
  const { seq, hash } = beginning.entry;
  const names = mirrorNames(image.clusterId);
  await store.putIfAbsent(names.checkpoint(seq), encodeCheckpoint({ seq, hash, image: beginning.image }));
  return {
    clusterId: image.clusterId,
    recoveredTo,
    writtenMs: copy?.writtenMs,
    topics: image.topicsById.size,
    partitions: image.partitionCount,
    objects: image.objectTable.size,
    objectsAdopted: adoption.adopted.length,
    topicsMade: adoption.topicsMade,
    losses: lossesOf(image, found, { ...adoption, hasCopy: copy !== undefined }),
  };
}

/** The bucket may hold the log itself, or a copy of one that was elsewhere. */
async function newestCopy(store: ObjectStore): Promise<RecoveredImage | undefined> {
  const [log, mirror] = [await readBucketLog(store), await readMirror(store)];
  if (log === undefined || mirror === undefined) return log ?? mirror;
  return log.image.seq >= mirror.image.seq ? log : mirror;
}

/** Moves the image behind every epoch that may have been given out, to the first entry of a new log. */
function beginAfter(image: ImageState, found: Salvage, { random }: Runtime): Beginning {
  const newest = Math.max(image.seq, ...found.objects.map(({ nodeEpoch }) => nodeEpoch));
  const block = Math.ceil((newest + seqsSkipped) / goneBlockEntries);
  const seq = (block * goneBlockEntries + 1) as Seq;
  const previousHash = image.hash;
  const nothing = { nodeId: 0 as NodeId, nodeEpoch: 0 as NodeEpoch, events: encodeGroups([]) };
  const entry = chained({ ...nothing, opId: uuidRandom(random) }, seq, previousHash);
  image.seq = seq;
  image.hash = entry.hash;
  return { entry, previousHash, image: joined([...encodeImage(image)].flat()) };
}

function lossesOf(
  image: ImageState,
  found: Salvage,
  { gaps, topicsMade, hasCopy }: ReturnType<typeof adoptObjects> & { readonly hasCopy: boolean },
): readonly string[] {
  const table = image.objectTable;
  const missing = [...table.rows()]
    .filter((row) => table.live(row) > 0)
    .map((row) => table.key(row))
    .filter((key) => !found.keys.has(key));
  return [
    ...(hasCopy
      ? []
      : [
          "there was no copy of the metadata: deleted topics and trimmed records may be back, configs and tables are lost",
        ]),
    ...topicsMade.map((name) => `topic ${name} was newer than the copy: its configs are the defaults`),
    ...missing.map((key) => `object ${key} is not in the bucket: its records cannot be read`),
    ...found.unreadable.map(({ key, reason }) => `object ${key} was left out: ${reason}`),
    ...gaps.map(
      ({ key, stream, from, end }) => `object ${key} was left out: stream ${stream} ends at ${end}, before ${from}`,
    ),
  ];
}

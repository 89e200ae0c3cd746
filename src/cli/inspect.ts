/** What inlet inspect shows. Lines go out as they are read, so that no log or WAL is too large to be looked at. */
import { CorruptData } from "../base/errors.ts";
import type { Offset } from "../base/ids.ts";
import { type EntrySeen, eachEntry, eachEntryInFiles, readImage } from "../inspect/metadata.ts";
import { batchFaults, openObject, readBlock } from "../inspect/object.ts";
import { eachRecoverableSlot } from "../inspect/slots.ts";
import { eachGroup, type GroupSeen, recoverable, type WalSummary } from "../inspect/wal.ts";
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes, printJson, printRows, type Row } from "./output.ts";
import type { OfflineStorage } from "./storage-commands.ts";

export async function inspectWal(
  context: Context,
  storage: OfflineStorage,
  options: { readonly directory: string | undefined; readonly withRecords: boolean },
): Promise<void> {
  const { disk, walDirectory } = storage;
  const directory = options.directory ?? walDirectory;
  const slots = options.directory === undefined ? await inspectSlots(context, storage, options.withRecords) : 0;
  let summary: WalSummary | undefined;
  let damage: CorruptData | undefined;
  try {
    summary = await recoverable(disk, directory);
    if (summary.segments.length === 0 && slots > 0) return;
    if (summary.segments.length === 0) throw new CommandFailed(`no WAL segments in ${directory}`, exitCodes.missing);
  } catch (cause) {
    if (!(cause instanceof CorruptData)) throw cause;
    damage = cause;
  }
  const state = (position: number, isIntact: boolean): string => {
    if (!isIntact) return "torn";
    if (summary?.tail === undefined) return "unknown";
    if (position >= summary.tail) return "not acked";
    return position < summary.trimmed ? "trimmed" : "kept";
  };
  await eachGroup(disk, directory, options, ({ segment, header, isIntact, records }) => {
    const { position, seq, epoch, recordCount, bodyBytes, durable, trimmed } = header;
    line(context, "group", {
      segment,
      position,
      seq,
      epoch,
      records: recordCount,
      bytes: bodyBytes,
      durable,
      trimmed,
      state: state(position, isIntact),
    });
    for (const record of records) showRecord(context, record);
  });
  if (damage !== undefined) throw damage;
  if (summary !== undefined)
    line(context, "end", {
      segments: summary.segments.length,
      records: summary.records,
      trimmed: summary.trimmed,
      tail: summary.tail ?? null,
      last_seq: summary.lastSeq,
    });
}

/** The slots of a WAL in the object store that a start would recover. Resolves to their number. */
async function inspectSlots(context: Context, storage: OfflineStorage, withRecords: boolean): Promise<number> {
  const image = await storage.readImage().catch((cause: unknown) => {
    if (!(cause instanceof CorruptData)) throw cause;
    context.terminal.error(`inlet: slots in the object store are left out: ${cause.message}\n`);
  });
  if (image === undefined) return 0;
  let slots = 0;
  await eachRecoverableSlot({ ...storage, image }, ({ head: { epoch, seq, durable }, object, records }) => {
    slots += 1;
    line(context, "slot", { key: object.key, epoch, seq, records: records.length, bytes: object.bytes, durable });
    if (withRecords) for (const record of records) showRecord(context, record);
  });
  return slots;
}

function showRecord(
  context: Context,
  { stream, epoch, after, from, to, maxTimestamp, bytes }: GroupSeen["records"][number],
): void {
  const row = { stream, epoch, after, from, to, max_timestamp: maxTimestamp, bytes: bytes.length };
  line(context, "  record", row);
}

/** Blocks are read and checked one by one; a broken one is told and the next looked at. */
export async function inspectObject(
  context: Context,
  { store }: OfflineStorage,
  { key, withBatches }: { readonly key: string; readonly withBatches: boolean },
): Promise<void> {
  const info = await store.head(key);
  if (info === undefined) throw new CommandFailed(`no object ${key} in the store`, exitCodes.missing);
  const object = await openObject(store, key, info.size);
  const { cluster, node, nodeEpoch } = object.origin;
  line(context, "object", { key, bytes: info.size, cluster, node, node_epoch: nodeEpoch });
  let damaged = 0;
  for (const { stream, epoch, from, to, sidecar } of object.index.streams()) {
    line(context, "stream", { stream, epoch, from, to, sidecar_bytes: sidecar?.bytes ?? null });
    for (const block of object.index.blocks(stream, 0 as Offset)) {
      const { position, bytes, maxTimestamp } = block;
      let found: readonly { readonly from: Offset; readonly to: Offset; readonly bytes: Uint8Array }[] = [];
      let state = "ok";
      try {
        found = await readBlock(store, object, stream, block);
        state = batchFaults(found).join("; ") || "ok";
      } catch (cause) {
        if (!(cause instanceof CorruptData)) throw cause;
        state = cause.message;
      }
      if (state !== "ok") damaged += 1;
      const place = { position, bytes, from: block.from, to: block.to };
      line(context, "  block", { ...place, max_timestamp: maxTimestamp, batches: found.length, state });
      if (!withBatches) continue;
      for (const batch of found)
        line(context, "    batch", { from: batch.from, to: batch.to, bytes: batch.bytes.length });
    }
  }
  if (damaged > 0) throw new CommandFailed(`${damaged} ${damaged === 1 ? "block is" : "blocks are"} damaged`);
}

export async function inspectObjects(context: Context, storage: OfflineStorage): Promise<void> {
  const image = await storage.readImage();
  const unnamed = new Map([...image.unreferenced()].map(({ object, since }) => [object, since]));
  for (const { key, bytes, kind, node, committedAt } of image.objects())
    line(context, "object", {
      key,
      bytes,
      kind,
      node,
      committed_at: committedAt,
      unnamed_since: unnamed.get(key) ?? null,
    });
}

export async function inspectIndex(
  context: Context,
  storage: OfflineStorage,
  name: string,
  partition: number,
): Promise<void> {
  const image = await storage.readImage();
  const id = image.topicByName(name)?.partitions[partition];
  const stream = id === undefined ? undefined : image.stream(id);
  if (stream === undefined) throw new CommandFailed(`there is no partition ${name}-${partition}`, exitCodes.missing);
  const { start, end, epoch, node } = stream;
  line(context, "stream", { stream: stream.id, start, end, epoch, node: node ?? null });
  for (const { from, to, bytes, maxTimestamp, object } of image.ranges(stream.id, 0 as Offset))
    line(context, "  range", { from, to, bytes, max_timestamp: maxTimestamp, object });
}

export async function inspectCheckpoint(context: Context, storage: OfflineStorage): Promise<void> {
  await using log = await storage.openLog();
  const checkpoint = await log.readCheckpoint();
  const image = await readImage(log);
  const rows: Row = {
    cluster: image.clusterId,
    checkpoint: checkpoint?.seq ?? null,
    checkpoint_bytes: checkpoint?.image.length ?? null,
    seq: image.seq,
    nodes: size(image.nodes()),
    topics: size(image.topics()),
    partitions: image.partitionCount,
    streams: size(image.streams()),
    ranges: [...image.streams()].reduce((sum, { id }) => sum + image.ranges(id, 0 as Offset).length, 0),
    objects: size(image.objects()),
    unnamed_objects: size(image.unreferenced()),
    tables: size(image.tables()),
    next_producer_id: image.nextProducerId,
  };
  if (context.format === "json") printJson(context.terminal, rows);
  else
    printRows(
      context.terminal,
      "text",
      ["what", "value"],
      Object.entries(rows).map(([what, value]) => ({ what, value })),
    );
}

export async function inspectMetadata(context: Context, storage: OfflineStorage, from: number): Promise<void> {
  let seen = 0;
  const show = ({ place, entry, groups }: EntrySeen): void => {
    seen += 1;
    for (const [group, events] of groups.entries()) {
      for (const { kind, ...event } of events) {
        const { seq, nodeId, nodeEpoch } = entry;
        line(context, kind, { seq, group, ...place, node: nodeId, epoch: nodeEpoch, event });
      }
    }
  };
  const { disk, metadataDirectory } = storage;
  if (metadataDirectory !== undefined) await eachEntryInFiles(disk, metadataDirectory, from, show);
  else {
    await using log = await storage.openLog();
    await eachEntry(log, from, show);
  }
  if (seen === 0) throw new CommandFailed(`the metadata log has no entries from ${from} on`, exitCodes.missing);
}

/** One fact: `what name=value …`, or a JSON object on a line of its own. */
function line(context: Context, what: string, fields: Readonly<Record<string, unknown>>): void {
  const { terminal, format } = context;
  if (format === "json") terminal.out(`${JSON.stringify({ what: what.trim(), ...fields }, plain)}\n`);
  else {
    const said = Object.entries(fields).map(([name, value]) => `${name}=${text(value)}`);
    terminal.out(`${what} ${said.join(" ")}\n`);
  }
}

function text(value: unknown): string {
  if (value === null || value === undefined) return "-";
  return typeof value === "string" ? value : JSON.stringify(value, plain);
}

/** What JSON has no word for. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return value instanceof Map ? Object.fromEntries(value as ReadonlyMap<string, unknown>) : value;
}

function size(items: Iterable<unknown>): number {
  let count = 0;
  for (const _ of items) count += 1;
  return count;
}

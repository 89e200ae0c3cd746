/**
 * Dead letters of pending rounds, brought into a topic for consumers, each once. A partition of the source has one partition
 * of the topic (the same, modulo their number), in which letters stand in the order of round, partition and offset: what is
 * there already is told from the last letter of the table, and only what comes after it is written.
 *
 *   topic     … [round 7: 0:12 0:40] [round 9: 0:55] ▮         last letter: round 9, 0:55
 *   pending     round 9: 0:55 0:61 · round 10: 0:70            to write: 0:61, 0:70
 *
 * Crash between any two batches, or before the table holds the round: the next owner reads the same end and goes on there.
 * Only the partition's owner appends, so that no two ever write from the same end.
 */
import { sleep } from "../../base/async.ts";
import { CorruptData, OperationFailed } from "../../base/errors.ts";
import { type Offset, type Seq, type Uuid, uuidRandom } from "../../base/ids.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { Log, Partition } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RoundManifest } from "../../metadata/events.ts";
import type { PendingRound, Topic } from "../../metadata/image.ts";
import { ObjectMissing } from "../../object-store/object-store.ts";
import { inflate } from "../../protocol/compression.ts";
import { BatchView } from "../../protocol/record-batch.ts";
import { buildBatch, type NewRecord, RecordCursor } from "../../protocol/records.ts";
import { readManifest } from "../iceberg/manifest.ts";
import { UnfitFile } from "../parquet/parquet-reader.ts";
import { type DeadLetter, deadLetterSchema } from "../translate/dead-letters.ts";
import { comparePlaces, type LetterPlace, letterRecord, placeOfRecord } from "../translate/letter-records.ts";
import { lettersOf } from "../translate/letter-rows.ts";
import type { Warehouse } from "../warehouse.ts";

export interface LetterTopicDeps {
  readonly metadata: MetadataClient;
  readonly log: Log;
  readonly warehouse: Warehouse;
  readonly runtime: Runtime;
  /** Of the topic; it is made when it is not there. */
  readonly name: string;
  /** The source's number of partitions, for a topic that is made. */
  readonly partitions: number;
  readonly table: Uuid;
}

export type Delivery =
  | { readonly kind: "delivered" }
  /** The round's letters are lost or not what was uploaded. */
  | { readonly kind: "damaged"; readonly seq: Seq; readonly reason: string }
  | { readonly kind: "unavailable"; readonly cause: unknown };

/** A batch holds as many letters as fit, at least one; consumers fetch a megabyte of a partition by default. */
const batchBytesMax = 512 * 1024;
const readBytesMax = 1024 * 1024;
/** Of one batch, should others write compressed ones here. */
const inflatedBytesMax = 64 * 1024 * 1024;
/** How far from the end the last letter is looked for first; then eight times as far, and so on. */
const lookBackMin = 64;
/** Version of Produce that allows everything. */
const newestProduce = 13;

/** All letters of the rounds are in the topic, durably, when it answers "delivered". */
export async function deliverLetters(rounds: readonly PendingRound[], deps: LetterTopicDeps): Promise<Delivery> {
  const topic = await ensureTopic(deps);
  if (topic === undefined) return unavailable(`topic ${deps.name} cannot be made`);
  const lasts = new Map<number, LetterPlace | undefined>();
  for (const { seq, deadLetters } of rounds) {
    if (deadLetters === null) continue;
    const letters = await roundLetters(deadLetters, deps);
    if (typeof letters === "string") return { kind: "damaged", seq, reason: letters };
    for (const [index, own] of byPartition(letters, topic.partitions.length)) {
      const lookup = deps.log.partition(topic.id, index);
      if (lookup.kind !== "here") return unavailable(`partition ${index} of ${deps.name} is not on this broker`);
      if (!lasts.has(index)) lasts.set(index, await lastLetter(lookup.partition, deps.table));
      const last = lasts.get(index);
      const missing = own.filter((letter) => last === undefined || comparePlaces({ seq, ...letter }, last) > 0);
      const rejection = await append(lookup.partition, missing, { ...deps, seq });
      if (rejection !== undefined) return unavailable(`${deps.name}: ${rejection}`);
    }
  }
  return { kind: "delivered" };
}

function unavailable(reason: string): Delivery {
  return { kind: "unavailable", cause: new OperationFailed(reason, { happened: "maybe" }) };
}

async function ensureTopic({ metadata, runtime, name, partitions }: LetterTopicDeps): Promise<Topic | undefined> {
  const existing = metadata.image.topicByName(name);
  if (existing !== undefined) return existing;
  const topicId = uuidRandom(runtime.random);
  await metadata.propose([{ kind: "create-topic", topicId, name, partitions, configs: new Map() }]);
  return metadata.image.topicByName(name); // Should another have been faster, it is theirs.
}

/** In the order of their places, or what is wrong with them. */
async function roundLetters(
  manifest: RoundManifest,
  { warehouse, runtime }: Pick<LetterTopicDeps, "warehouse" | "runtime">,
): Promise<readonly DeadLetter[] | string> {
  const table = { schema: deadLetterSchema, specs: [{ "spec-id": 0, fields: [] }] };
  try {
    const { entries } = await readManifest(await warehouse.read(manifest.location), manifest.location, table);
    const letters: DeadLetter[] = [];
    for (const { file } of entries) {
      for (const group of lettersOf(await warehouse.read(file.path), file.path)) {
        letters.push(...group);
        await sleep(runtime.clock, 0); // Others get a turn.
      }
    }
    return letters.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
  } catch (cause) {
    if (cause instanceof ObjectMissing || cause instanceof CorruptData || cause instanceof UnfitFile)
      return cause.message;
    throw cause;
  }
}

function byPartition(letters: readonly DeadLetter[], partitions: number): ReadonlyMap<number, readonly DeadLetter[]> {
  return Map.groupBy(letters, ({ partition }) => partition % partitions);
}

/** The table's newest letter in the partition; others may write there too. */
async function lastLetter(partition: Partition, table: Uuid): Promise<LetterPlace | undefined> {
  let end = partition.highWatermark;
  for (let back = lookBackMin; end > partition.logStart; back *= 8) {
    const from = Math.max(partition.logStart, partition.highWatermark - back) as Offset;
    const last = await lastBetween(partition, from, end, table);
    if (last !== undefined) return last;
    end = from;
  }
  return undefined;
}

async function lastBetween(
  partition: Partition,
  from: Offset,
  end: Offset,
  table: Uuid,
): Promise<LetterPlace | undefined> {
  let last: LetterPlace | undefined;
  for (let at = from; at < end; ) {
    const request = { from: at, bytesMax: readBytesMax, atLeastOne: true, isolation: "read-uncommitted" } as const;
    const read = await partition.read(request);
    if (read.kind === "closed") throw new OperationFailed("the partition closed", { happened: "no" });
    if (read.kind === "out-of-range") return await lastLetter(partition, table); // Its start has moved meanwhile.
    if (read.next <= at) return last;
    for (const bytes of read.batches) last = lastOf(new BatchView(bytes), table) ?? last;
    at = read.next;
  }
  return last;
}

function lastOf(batch: BatchView, table: Uuid): LetterPlace | undefined {
  if (batch.isControl) return undefined;
  const records = inflate(batch.compression ?? "none", batch.records, { bytesMax: inflatedBytesMax });
  const cursor = new RecordCursor(records, batch.recordCount);
  let last: LetterPlace | undefined;
  while (cursor.next()) {
    const place = placeOfRecord(cursor.headers());
    if (place?.table === table) last = place;
  }
  return last;
}

/** One batch after the other: what is there is always a beginning. Answers why one was not taken. */
async function append(
  partition: Partition,
  letters: readonly DeadLetter[],
  { table, seq, runtime }: Pick<LetterTopicDeps, "table" | "runtime"> & { readonly seq: Seq },
): Promise<string | undefined> {
  const timestamp = runtime.clock.now();
  const records = letters.map((letter) => letterRecord(letter, { table, seq }, timestamp));
  for (let at = 0; at < records.length; ) {
    const batch = nextBatch(records, at);
    const outcome = await partition.append(buildBatch({ records: batch }), {
      origin: "coordinator",
      apiVersion: newestProduce,
    });
    if (outcome.kind === "rejected") return `${outcome.reason}: ${outcome.detail}`;
    at += batch.length;
  }
  return undefined;
}

function nextBatch(records: readonly NewRecord[], from: number): readonly NewRecord[] {
  let bytes = 0;
  let to = from;
  while (to < records.length) {
    bytes += bytesOf(records[to] as NewRecord);
    if (bytes > batchBytesMax && to > from) break;
    to += 1;
  }
  return records.slice(from, to);
}

function bytesOf({ key, value, headers = [] }: NewRecord): number {
  const ofHeaders = headers.reduce((sum, header) => sum + header.key.length + (header.value?.length ?? 0) + 4, 0);
  return (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders + 32; // Lengths and deltas.
}

/**
 * What a partition must remember to go on after exactly the batches below `upTo`. The stream keeps it, unread, beside each
 * uploaded range; a reader of objects alone takes the newest and knows every aborted transaction that is still in the log.
 *
 *   version        uint8, 2; version 1 ends after the producers
 *   upTo           varlong
 *   epochs         uvarint count, each: epoch varint, start varlong
 *   aborted        uvarint count, each: producer id, first offset, last offset, last stable offset (varlongs)
 *   producers      uvarint count, each: id varlong, epoch varint, coordinator epoch varint, last timestamp varlong,
 *                  touched at varlong, transaction start varlong,
 *                  uvarint batches, each: base sequence varint, last offset delta varint, base offset varlong, timestamp varlong
 *   cleaning       cleaned up to, horizon in ms (varlongs)
 *
 * A later version may only be written when every node of the cluster reads it.
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Offset } from "../base/ids.ts";
import { type CleaningProgress, nothingCleaned } from "./cleaning/cleaning-plan.ts";
import type { EpochStart } from "./epochs.ts";
import { type AbortedTransaction, BatchWindow, type ProducerEntry, windowBatches } from "./producer-state.ts";

export interface Sidecar {
  readonly upTo: Offset;
  readonly epochs: readonly EpochStart[];
  /** In the order of their markers. */
  readonly aborted: readonly AbortedTransaction[];
  readonly producers: Iterable<ProducerEntry>;
  readonly cleaning: CleaningProgress;
}

const version = 2;

export function encodeSidecar(sidecar: Sidecar): Uint8Array {
  const writer = new ByteWriter();
  writer.uint8(version);
  writer.varlong(sidecar.upTo);
  writer.uvarint(sidecar.epochs.length);
  for (const entry of sidecar.epochs) {
    writer.varint(entry.epoch);
    writer.varlong(entry.start);
  }
  writer.uvarint(sidecar.aborted.length);
  for (const entry of sidecar.aborted) {
    writer.varlong(entry.producerId);
    writer.varlong(entry.firstOffset);
    writer.varlong(entry.lastOffset);
    writer.varlong(entry.lastStable);
  }
  const producers = [...sidecar.producers];
  writer.uvarint(producers.length);
  for (const entry of producers) writeProducer(writer, entry);
  writer.varlong(sidecar.cleaning.cleanedTo);
  writer.varlong(sidecar.cleaning.horizonMs);
  return writer.toBytes();
}

/** Throws CorruptData, also for a version that this program does not know. */
export function decodeSidecar(bytes: Uint8Array): Sidecar & { readonly producers: readonly ProducerEntry[] } {
  const reader = new ByteReader(bytes, { source: "sidecar" });
  const found = reader.uint8();
  if (found < 1 || found > version) reader.corrupt(`a sidecar of version 1 to ${version}`, `${found}`);
  const upTo = offset(reader);
  const epochs = list(reader, 2, () => ({ epoch: reader.varint(), start: offset(reader) }));
  const aborted = list(reader, 4, () => ({
    producerId: reader.varlong(),
    firstOffset: offset(reader),
    lastOffset: offset(reader),
    lastStable: offset(reader),
  }));
  const producers = list(reader, 7, () => readProducer(reader));
  const cleaning = found === 1 ? nothingCleaned : { cleanedTo: offset(reader), horizonMs: reader.varlong() };
  if (reader.remaining > 0) reader.corrupt("the end of the sidecar", `${reader.remaining} more bytes`);
  return { upTo, epochs, aborted, producers, cleaning };
}

function writeProducer(writer: ByteWriter, entry: ProducerEntry): void {
  writer.varlong(entry.producerId);
  writer.varint(entry.epoch);
  writer.varint(entry.coordinatorEpoch);
  writer.varlong(entry.lastTimestamp);
  writer.varlong(entry.touchedAtMs);
  writer.varlong(entry.transactionStart);
  writer.uvarint(entry.window.count);
  for (const [baseSequence, lastOffsetDelta, baseOffset, timestamp] of entry.window.batches()) {
    writer.varint(baseSequence);
    writer.varint(lastOffsetDelta);
    writer.varlong(baseOffset);
    writer.varlong(timestamp);
  }
}

function readProducer(reader: ByteReader): ProducerEntry {
  const entry: ProducerEntry = {
    producerId: reader.varlong(),
    epoch: reader.varint(),
    coordinatorEpoch: reader.varint(),
    lastTimestamp: reader.varlong(),
    touchedAtMs: reader.varlong(),
    transactionStart: reader.varlong(),
    window: new BatchWindow(),
  };
  const batches = reader.uvarint();
  if (batches > windowBatches) reader.corrupt(`at most ${windowBatches} batches a producer`, `${batches}`);
  for (let index = 0; index < batches; index += 1) {
    entry.window.add(reader.varint(), reader.varint(), offset(reader), reader.varlong());
  }
  return entry;
}

function offset(reader: ByteReader): Offset {
  const found = reader.varlong();
  if (found < 0) reader.corrupt("an offset", `${found}`);
  return found as Offset;
}

function list<Entry>(reader: ByteReader, entryBytesMin: number, read: () => Entry): readonly Entry[] {
  const count = reader.uvarint();
  reader.admit(count, entryBytesMin);
  return Array.from({ length: count }, read);
}

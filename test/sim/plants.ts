/** Bugs that are planted in a simulated broker, to see that the simulation finds them: a check that cannot fail proves nothing. */
import type { Disk } from "../../src/base/disk.ts";
import type { Offset } from "../../src/base/ids.ts";
import { copyOf } from "../../src/object-store/body.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import type { Handlers } from "../../src/protocol/dispatch.ts";
import { BatchView } from "../../src/protocol/record-batch.ts";
import { buildBatch, RecordCursor } from "../../src/protocol/records.ts";
import type { StreamStorageOptions } from "../../src/stream/stream-storage.ts";
import type { Wal, WalEntry } from "../../src/stream/wal.ts";
import type { Round, Translator } from "../../src/table/translate/translate.ts";
import { HastyWal } from "./hasty-wal.ts";

export interface Plant {
  /** The disk of the metadata log. */
  readonly wrapMetadataDisk?: (disk: Disk) => Disk;
  /** The store of S3Stream's objects, below everything that retries. */
  readonly wrapObjects?: (store: ObjectStore) => ObjectStore;
  readonly wrapWal?: (wal: Wal) => Wal;
  readonly wrapMerged?: StreamStorageOptions["wrapMerged"];
  readonly wrapHandlers?: (handlers: Handlers) => Handlers;
  readonly wrapTranslator?: (translator: Translator) => Translator;
}

export const plants = {
  /** Acked before the sync: lost with the power. */
  "ack-before-fsync": { wrapWal: (wal) => new HastyWal(wal) },
  /** A retry is taken for new records. */
  "forgotten-sequences": { wrapHandlers: (handlers) => ({ ...handlers, produce: withoutSequences(handlers) }) },
  /** Commits of group offsets are answered and not written. */
  "forgotten-commits": { wrapHandlers: (handlers) => ({ ...handlers, offsetCommit: answeredOnly }) },
  /** A fetch leaves out its first batch. */
  "skipped-batch": { wrapHandlers: (handlers) => ({ ...handlers, fetch: withoutFirstBatch(handlers) }) },
  /** A merge leaves out the last batch of what it copies. */
  "short-merge": { wrapMerged: (batches) => batches.slice(0, -1) },
  /** A table round leaves out a file now and then. */
  "lost-file": { wrapTranslator: (translator) => withFiles(translator, () => []) },
  /** Deleted records come back: the request is answered and nothing is done. */
  "undeleted-records": { wrapHandlers: (handlers) => ({ ...handlers, deleteRecords: deletedOnly }) },
  /** A start leaves out the last record of the WAL. */
  "skipped-tail": { wrapWal: (wal) => wrapped(wal, { recover: (visit) => recoverAllButLast(wal, visit) }) },
  /** The WAL is trimmed when a record is durable, not when an object holds it. */
  "early-trim": { wrapWal: (wal) => wrapped(wal, { append: (entry) => wal.append(trimming(wal, entry)) }) },
  /** The metadata log answers before its entries are durable. */
  "unsynced-metadata": { wrapMetadataDisk: (disk) => withoutDatasync(disk) },
  /** An object is committed while it is still on its way. */
  "unfinished-upload": { wrapObjects: (store) => wrapped(store, { putIfAbsent: answeringFirst(store) }) },
  /** A table round lists its files twice now and then, as a commit would that is repeated without asking what became of it. */
  "doubled-file": { wrapTranslator: (translator) => withFiles(translator, (files) => [...files, ...files]) },
  /** The last stable offset is one too small. */
  "unstable-offset": { wrapHandlers: (handlers) => ({ ...handlers, fetch: withLowStableOffset(handlers) }) },
} as const satisfies Readonly<Record<string, Plant>>;

export type PlantName = keyof typeof plants;

type Handler<Name extends keyof Handlers> = NonNullable<Handlers[Name]>;

function withoutSequences(handlers: Handlers): Handler<"produce"> {
  return (request, context) =>
    (handlers.produce as Handler<"produce">)(
      {
        ...request,
        topicData: request.topicData.map((topic) => ({
          ...topic,
          partitionData: topic.partitionData.map(({ index, records }) => ({
            index,
            records: records === null ? null : plainBatch(new BatchView(records)),
          })),
        })),
      },
      context,
    );
}

/** The same records, from nobody. */
function plainBatch(batch: BatchView): Uint8Array {
  if (batch.compression !== "none") return batch.bytes;
  const cursor = new RecordCursor(batch.records, batch.recordCount);
  const records = [];
  while (cursor.next()) records.push({ timestamp: batch.baseTimestamp, key: cursor.key, value: cursor.value });
  return buildBatch({ records });
}

const answeredOnly: Handler<"offsetCommit"> = async ({ topics }) => ({
  topics: topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: 0 })),
  })),
});

const deletedOnly: Handler<"deleteRecords"> = async ({ topics }) => ({
  topics: topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, offset }) => ({
      partitionIndex,
      errorCode: 0,
      lowWatermark: offset as Offset,
    })),
  })),
});

function withoutFirstBatch(handlers: Handlers): Handler<"fetch"> {
  return async (request, context) => {
    const answer = await (handlers.fetch as Handler<"fetch">)(request, context);
    if (typeof answer === "string") return answer;
    const responses = answer.responses.map((topic) => ({
      ...topic,
      partitions: topic.partitions.map((partition) => ({
        ...partition,
        records: (partition.records?.length ?? 0) > 2 ? (partition.records?.slice(1) ?? null) : partition.records,
      })),
    }));
    return { ...answer, responses };
  };
}

/** Every third round has other files than it should have. */
function withFiles(translator: Translator, change: (files: Files) => Files): Translator {
  let rounds = 0;
  return wrapped(translator, {
    beginRound: (plan) => {
      rounds += 1;
      const round = translator.beginRound(plan);
      if (rounds % 3 !== 0) return round;
      return wrapped(round, {
        finish: async (leaveOut) => {
          const finished = await round.finish(leaveOut);
          return { ...finished, files: change(finished.files) };
        },
      });
    },
  });
}

type Files = Awaited<ReturnType<Round["finish"]>>["files"];

function withLowStableOffset(handlers: Handlers): Handler<"fetch"> {
  return async (request, context) => {
    const answer = await (handlers.fetch as Handler<"fetch">)(request, context);
    if (typeof answer === "string") return answer;
    const responses = answer.responses.map((topic) => ({
      ...topic,
      partitions: topic.partitions.map((partition) => ({
        ...partition,
        lastStableOffset: Math.max(0, Number(partition.lastStableOffset) - 1) as Offset,
      })),
    }));
    return { ...answer, responses };
  };
}

async function recoverAllButLast(wal: Wal, visit: Parameters<Wal["recover"]>[0]): Promise<void> {
  let before: Parameters<typeof visit> | undefined;
  await wal.recover((record, ...where) => {
    if (before !== undefined) visit(...before);
    before = [{ ...record, bytes: record.bytes.slice() }, ...where];
  });
}

function trimming(wal: Wal, entry: WalEntry): WalEntry {
  return {
    ...entry,
    durable: (end, place) => {
      wal.trim(end).catch((cause: unknown) => entry.failed(cause));
      entry.durable(end, place);
    },
    failed: (cause) => entry.failed(cause),
  };
}

function withoutDatasync(disk: Disk): Disk {
  return wrapped(disk, {
    open: async (path, mode) => wrapped(await disk.open(path, mode), { datasync: () => Promise.resolve() }),
  });
}

function answeringFirst(store: ObjectStore): ObjectStore["putIfAbsent"] {
  return (key, body) => {
    store.putIfAbsent(key, copyOf(body)).catch(() => undefined); // Nobody looks: that is the bug.
    return Promise.resolve({ kind: "created", etag: "on its way" });
  };
}

/** The same, but for what is given. Private fields are the inner one's, so it must be `this` in its own methods. */
function wrapped<T extends object>(inner: T, changed: Partial<T>): T {
  return new Proxy(inner, {
    get(target, name) {
      if (Object.hasOwn(changed, name)) return changed[name as keyof T];
      const value: unknown = Reflect.get(target, name);
      // Not `bind`: `await using` of this Node takes no bound function.
      return typeof value === "function" ? (...args: unknown[]): unknown => Reflect.apply(value, target, args) : value;
    },
  });
}

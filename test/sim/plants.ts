/** Bugs that are planted in a simulated broker, to see that the simulation finds them: a check that cannot fail proves nothing. */
import type { Offset } from "../../src/base/ids.ts";
import type { Handlers } from "../../src/protocol/dispatch.ts";
import { BatchView } from "../../src/protocol/record-batch.ts";
import { buildBatch, RecordCursor } from "../../src/protocol/records.ts";
import type { StreamStorageOptions } from "../../src/stream/stream-storage.ts";
import type { Wal } from "../../src/stream/wal.ts";
import type { Round, Translator } from "../../src/table/translate.ts";
import { HastyWal } from "./hasty-wal.ts";

export interface Plant {
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
  "lost-file": { wrapTranslator: (translator) => withoutFiles(translator) },
  /** Deleted records come back: the request is answered and nothing is done. */
  "undeleted-records": { wrapHandlers: (handlers) => ({ ...handlers, deleteRecords: deletedOnly }) },
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

function withoutFiles(translator: Translator): Translator {
  let rounds = 0;
  return {
    beginRound: (plan) => {
      rounds += 1;
      const round = translator.beginRound(plan);
      if (rounds % 3 !== 0) return round;
      const lossy: Round = {
        add: (range) => round.add(range),
        finish: async () => ({ ...(await round.finish()), files: [] }),
        [Symbol.asyncDispose]: () => round[Symbol.asyncDispose](),
      };
      return lossy;
    },
    [Symbol.asyncDispose]: () => translator[Symbol.asyncDispose](),
  };
}

/**
 * A producer as Kafka's clients are: what is not known to be appended is sent again under its old sequence. With a
 * transactional id it speaks the newest protocol, in which each end bumps the epoch (KIP-890), or the one before.
 */
import { type ErrorName, errorName } from "../../schemas/kafka/errors.ts";
import { buildBatch } from "../../src/protocol/records.ts";
import type { Connection, Request } from "./connection.ts";
import { pause } from "./pause.ts";

export interface Batch {
  readonly key: number;
  readonly values: readonly string[];
}

/** `wasMaybeSent`: one attempt at least was not answered. */
export type Sent =
  | { readonly kind: "appended"; readonly offset: number | undefined }
  | { readonly kind: "refused"; readonly error: ErrorName; readonly wasMaybeSent: boolean }
  | { readonly kind: "unknown" };

export type Ended =
  | { readonly kind: "done" }
  | { readonly kind: "refused"; readonly error: ErrorName; readonly wasMaybeSent: boolean }
  | { readonly kind: "unknown" };

export interface ProducerOptions {
  readonly connection: Connection;
  readonly topic: string;
  readonly transactionalId: string | null;
  /** 2: KIP-890. */
  readonly transactionVersion: 1 | 2;
}

export const transactionMsMax = 8_000;

/** What a broker says that cannot do it for now. */
const comesAgain: ReadonlySet<string> = new Set<ErrorName>([
  "NOT_LEADER_OR_FOLLOWER",
  "KAFKA_STORAGE_ERROR",
  "NOT_ENOUGH_REPLICAS",
  "REQUEST_TIMED_OUT",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR",
  "CONCURRENT_TRANSACTIONS",
]);

/** How long a request is repeated before its process gives up. */
const patienceMs = 10_000;
const againMs = 50;

export class Producer {
  readonly #options: ProducerOptions;
  #id = -1;
  #epoch = -1;
  readonly #sequences = new Map<number, number>();
  /** In the open transaction, where the protocol wants it said beforehand. */
  readonly #added = new Set<number>();

  constructor(options: ProducerOptions) {
    this.#options = options;
  }

  /** Whether it got an identity. Whoever had the transactional id before is fenced. */
  async init(): Promise<boolean> {
    const { transactionalId } = this.#options;
    const body = { transactionalId, transactionTimeoutMs: transactionMsMax, producerId: -1, producerEpoch: -1 };
    const answer = await this.#repeat("initProducerId", 5, body, (response) => response.errorCode);
    if (answer.kind !== "done") return false;
    this.#adopt(answer.body.producerId, answer.body.producerEpoch);
    return true;
  }

  /** Back to back on one connection, again and again until each is answered for good; then the answers, in the same order. */
  async send(batches: readonly Batch[]): Promise<readonly Sent[]> {
    const refused = await this.#addPartitions(batches);
    if (refused !== undefined) return batches.map(() => refused);
    const open = batches.map((batch, at) => ({
      at,
      request: this.#request(batch),
      key: batch.key,
      wasMaybeSent: false,
    }));
    const results: Sent[] = batches.map(() => ({ kind: "unknown" }));
    const deadline = performance.now() + patienceMs;
    while (open.length > 0 && performance.now() < deadline) {
      const replies = await this.#options.connection.pipeline(open.map(({ request }) => request));
      const behind = new Set<number>(); // Keys of which an earlier batch is not in yet: theirs are out of order.
      for (const [index, each] of [...open].entries()) {
        const reply = replies[index];
        const answer = reply?.kind === "answer" ? reply.body.responses[0]?.partitionResponses[0] : undefined;
        const error = answer === undefined ? undefined : (errorName(answer.errorCode) ?? "UNKNOWN_SERVER_ERROR");
        each.wasMaybeSent ||= reply?.kind === "lost";
        const isOver = error !== undefined && !comesAgain.has(error) && !(behind.has(each.key) && isOutOfOrder(error));
        if (!isOver) {
          behind.add(each.key);
          continue;
        }
        open.splice(open.indexOf(each), 1);
        if (error === "NONE") results[each.at] = { kind: "appended", offset: answer?.baseOffset };
        else if (error === "DUPLICATE_SEQUENCE_NUMBER") results[each.at] = { kind: "appended", offset: undefined };
        else results[each.at] = { kind: "refused", error, wasMaybeSent: each.wasMaybeSent };
      }
      if (open.length > 0) await pause(againMs);
    }
    return results;
  }

  /** The position of a group in one partition becomes part of the transaction. */
  async commitOffset(group: string, key: number, offset: number): Promise<Ended> {
    const { topic, transactionalId, transactionVersion } = this.#options;
    const by = {
      transactionalId: transactionalId ?? "",
      producerId: this.#id,
      producerEpoch: this.#epoch,
      groupId: group,
    };
    if (transactionVersion === 1) {
      const added = await this.#repeat("addOffsetsToTxn", 3, by, (response) => response.errorCode);
      if (added.kind !== "done") return added;
    }
    const partitions = [{ partitionIndex: key, committedOffset: offset, committedMetadata: null }];
    const body = { ...by, topics: [{ name: topic, partitions }] };
    const version = transactionVersion === 2 ? 5 : 3;
    return await this.#repeat(
      "txnOffsetCommit",
      version,
      body,
      (response) => response.topics[0]?.partitions[0]?.errorCode,
    );
  }

  async end(committed: boolean): Promise<Ended> {
    const { transactionalId, transactionVersion } = this.#options;
    const by = { transactionalId: transactionalId ?? "", producerId: this.#id, producerEpoch: this.#epoch };
    const version = transactionVersion === 2 ? 5 : 4;
    const answer = await this.#repeat("endTxn", version, { ...by, committed }, (response) => response.errorCode);
    if (answer.kind !== "done") return answer;
    this.#added.clear();
    if (transactionVersion === 2) this.#adopt(answer.body.producerId, answer.body.producerEpoch);
    return { kind: "done" };
  }

  #adopt(id: number, epoch: number): void {
    this.#id = id;
    this.#epoch = epoch;
    this.#sequences.clear();
    this.#added.clear();
  }

  #request({ key, values }: Batch): Request<"produce"> {
    const { topic, transactionalId, transactionVersion } = this.#options;
    const baseSequence = this.#sequences.get(key) ?? 0;
    this.#sequences.set(key, baseSequence + values.length);
    const records = buildBatch({
      records: values.map((value) => ({ timestamp: Date.now(), key: null, value: Buffer.from(value) })),
      isTransactional: transactionalId !== null,
      producerId: this.#id,
      producerEpoch: this.#epoch,
      baseSequence,
    });
    const topicData = [{ name: topic, partitionData: [{ index: key, records }] }];
    return ["produce", transactionVersion === 2 ? 12 : 11, { transactionalId, acks: -1, timeoutMs: 2_000, topicData }];
  }

  async #addPartitions(batches: readonly Batch[]): Promise<Sent | undefined> {
    const { topic, transactionalId, transactionVersion } = this.#options;
    const missing = [...new Set(batches.map(({ key }) => key))].filter((key) => !this.#added.has(key));
    if (transactionalId === null || transactionVersion === 2 || missing.length === 0) return undefined;
    const by = { transactionalId, producerId: this.#id, producerEpoch: this.#epoch };
    const body = { ...by, topics: [{ name: topic, partitions: missing }] };
    const added = await this.#repeat(
      "addPartitionsToTxn",
      3,
      body,
      (response) =>
        response.resultsByTopic[0]?.resultsByPartition
          .map((each) => each.partitionErrorCode)
          .find((code) => code !== 0) ?? 0,
    );
    if (added.kind !== "done") return added;
    for (const key of missing) this.#added.add(key);
    return undefined;
  }

  async #repeat<
    Name extends "initProducerId" | "endTxn" | "txnOffsetCommit" | "addOffsetsToTxn" | "addPartitionsToTxn",
  >(
    ...[api, version, body, codeOf]: readonly [...Request<Name>, (response: BodyOf<Name>) => number | undefined]
  ): Promise<{ readonly kind: "done"; readonly body: BodyOf<Name> } | Exclude<Ended, { kind: "done" }>> {
    let wasMaybeSent = false;
    for (const deadline = performance.now() + patienceMs; performance.now() < deadline; await pause(againMs)) {
      const reply = await this.#options.connection.call(api, version, body);
      if (reply.kind === "lost") wasMaybeSent = true;
      if (reply.kind !== "answer") continue;
      const error = errorName(codeOf(reply.body) ?? -1) ?? "UNKNOWN_SERVER_ERROR";
      if (error === "NONE") return { kind: "done", body: reply.body };
      if (!comesAgain.has(error)) return { kind: "refused", error, wasMaybeSent };
    }
    return { kind: "unknown" };
  }
}

type BodyOf<Name extends Parameters<Connection["call"]>[0]> = Extract<
  Awaited<ReturnType<typeof Connection.prototype.call<Name>>>,
  { kind: "answer" }
>["body"];

function isOutOfOrder(error: ErrorName): boolean {
  return error === "OUT_OF_ORDER_SEQUENCE_NUMBER";
}

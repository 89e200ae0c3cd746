/** The handlers of transactions, of groups' offsets and of produce over a log and metadata in memory. */
import { type Settings, settingsTable } from "../../../schemas/config.ts";
import { errorName } from "../../../schemas/kafka/errors.ts";
import { type Uuid, uuidZero } from "../../../src/base/ids.ts";
import { GroupCoordinator } from "../../../src/coordinator/group-coordinator.ts";
import type { ProducerIdentity } from "../../../src/coordinator/transaction-state.ts";
import { groupCoordinatorOptions } from "../../../src/handlers/admin-handlers.ts";
import { produceHandler } from "../../../src/handlers/data/produce.ts";
import { offsetCommitHandler, offsetFetchHandler } from "../../../src/handlers/groups/group-offsets.ts";
import type { Handler } from "../../../src/handlers/handler.ts";
import { openTransactions, type Transactions } from "../../../src/handlers/transactions/transaction-handlers.ts";
import { type ApiName, apis, type RequestInputOf, type ResponseOf } from "../../../src/protocol/api-table.ts";
import { BatchView } from "../../../src/protocol/record-batch.ts";
import { buildBatch } from "../../../src/protocol/records.ts";
import { answered, context, LogWorld } from "../../support/log-world.ts";
import { records } from "../../support/owned-partition.ts";

const defaults = Object.fromEntries(
  Object.entries(settingsTable).map(([name, setting]) => [name, setting.default]),
) as unknown as Settings; // The table's own types say what the loop cannot.

export class TransactionWorld implements AsyncDisposable {
  readonly world: LogWorld;
  readonly failures: unknown[] = [];
  readonly #settings: Settings;
  groups!: GroupCoordinator;
  transactions!: Transactions;

  private constructor(world: LogWorld, overrides: Partial<Settings>) {
    this.world = world;
    this.#settings = { ...defaults, groupOffsetsPartitions: 2, transactionStatePartitions: 2, ...overrides };
    this.#start();
  }

  static async open(overrides: Partial<Settings> = {}): Promise<TransactionWorld> {
    const world = new LogWorld();
    await world.topic("orders", 3);
    await world.topic("__consumer_offsets", 2);
    await world.topic("__transaction_state", 2);
    return new TransactionWorld(world, overrides);
  }

  /** Coordinators that know nothing but the log: what a restart of the broker leaves. */
  async restart(): Promise<void> {
    await this.#stop();
    this.#start();
  }

  topicId(name: string): Uuid {
    const topic = this.world.metadata.image.topicByName(name);
    if (topic === undefined) throw new Error(`no topic ${name}`);
    return topic.id;
  }

  /** In the API's newest version unless another is given; through the wire format both ways. */
  async call<Name extends ApiName>(
    name: Name,
    request: RequestInputOf<Name>,
    apiVersion: number = apis[name].request.versions[1],
  ): Promise<ResponseOf<Name>> {
    const api = apis[name];
    const decoded = api.request.decode(api.request.encode(request as never, apiVersion), apiVersion);
    const handler = this.#handlers()[name] as Handler<unknown, unknown>;
    const response = answered(await handler(decoded, context({ apiVersion })));
    return api.response.decode(api.response.encode(response as never, apiVersion), apiVersion) as ResponseOf<Name>;
  }

  async init(
    transactionalId = "tx",
    fields: Partial<RequestInputOf<"initProducerId">> = {},
  ): Promise<ProducerIdentity> {
    const answer = await this.call("initProducerId", { transactionalId, transactionTimeoutMs: 60_000, ...fields });
    if (answer.errorCode !== 0) throw new Error(errorName(answer.errorCode));
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
  }

  /** The error's name, or "NONE". */
  async produce(
    by: ProducerIdentity,
    options: {
      readonly partition?: number;
      readonly baseSequence?: number;
      readonly version?: number;
      readonly transactionalId?: string;
    } = {},
  ): Promise<string | undefined> {
    const { partition = 0, baseSequence = 0, version = 12, transactionalId = "tx" } = options;
    const batch = buildBatch({
      ...by,
      baseSequence,
      isTransactional: true,
      records: records(1, this.world.clock.now()),
    });
    const topicData = [
      { name: "orders", topicId: uuidZero, partitionData: [{ index: partition, records: Buffer.from(batch) }] },
    ];
    const answer = await this.call("produce", { transactionalId, acks: -1, timeoutMs: 1000, topicData }, version);
    return errorName(answer.responses[0]?.partitionResponses[0]?.errorCode ?? 0);
  }

  async end(by: ProducerIdentity, committed: boolean, version = 5, transactionalId = "tx") {
    const answer = await this.call("endTxn", { transactionalId, ...by, committed }, version);
    const { errorCode, producerId, producerEpoch } = answer;
    return { error: errorName(errorCode), producer: { producerId, producerEpoch } };
  }

  async state(transactionalId = "tx") {
    const { transactionStates } = await this.call("describeTransactions", { transactionalIds: [transactionalId] });
    const [found] = transactionStates;
    return found?.errorCode === 0 ? found.transactionState : errorName(found?.errorCode ?? 0);
  }

  /** Until no markers are on their way. */
  async settled(transactionalId = "tx"): Promise<string | undefined> {
    for (let turn = 0; turn < 200; turn += 1) {
      const state = await this.state(transactionalId);
      if (state === undefined || !state.startsWith("Prepare")) return state;
      await new Promise((resolve) => setImmediate(resolve));
      this.world.clock.advance(1);
    }
    throw new Error("the transaction does not end");
  }

  /** Time goes on while the work waits for it: a request may wait a little for the transaction before. */
  async inTime<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    done.catch(() => undefined); // Its caller is told below.
    while (!isDone) {
      await new Promise((resolve) => setImmediate(resolve));
      if (!isDone) this.world.clock.advance(1);
    }
    return await done;
  }

  async commitOffset(
    by: ProducerIdentity,
    offset: number,
    fields: Partial<RequestInputOf<"txnOffsetCommit">> = {},
    version = 5,
  ): Promise<string | undefined> {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: null }];
    const topics = [{ name: "orders", partitions }];
    const answer = await this.call(
      "txnOffsetCommit",
      { transactionalId: "tx", groupId: "g", ...by, topics, ...fields },
      version,
    );
    return errorName(answer.topics[0]?.partitions[0]?.errorCode ?? 0);
  }

  /** Of the group's offset of orders-0: the offset, or the error. */
  async fetchOffset(requireStable = false): Promise<number | string | undefined> {
    const groups = [{ groupId: "g", topics: [{ name: "orders", topicId: uuidZero, partitionIndexes: [0] }] }];
    const answer = await this.call("offsetFetch", { groups, requireStable }, 9);
    const found = answer.groups[0]?.topics[0]?.partitions[0];
    return found?.errorCode === 0 ? found.committedOffset : errorName(found?.errorCode ?? 0);
  }

  /** Values that a reader sees: record counts of the batches that are not aborted, below the last stable offset. */
  async committed(partition = 0): Promise<number> {
    const at = this.world.partition(this.topicId("orders"), partition);
    const read = await at.read({ from: at.logStart, bytesMax: 1e6, atLeastOne: true, isolation: "read-committed" });
    if (read.kind !== "batches") throw new Error(read.kind);
    const views = read.batches.map((bytes) => new BatchView(bytes));
    const isAborted = (view: (typeof views)[number]): boolean =>
      read.aborted.some(({ producerId, firstOffset }) => {
        const isOwn = view.producerId === producerId && view.baseOffset >= firstOffset;
        const ends = views.find(
          (each) => each.isControl && each.producerId === producerId && each.baseOffset > firstOffset,
        );
        return isOwn && (ends === undefined || view.baseOffset < ends.baseOffset);
      });
    return views.filter((view) => !view.isControl && !isAborted(view)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    if (this.failures.length > 0) throw new AggregateError(this.failures);
  }

  #start(): void {
    const { metadata, log, clock, random } = this.world;
    const failed = (cause: unknown): void => void this.failures.push(cause);
    const common = { settings: this.#settings, metadata, log, runtime: { clock, random }, failed };
    this.groups = new GroupCoordinator(groupCoordinatorOptions(common));
    this.transactions = openTransactions({ ...common, coordinator: this.groups });
  }

  async #stop(): Promise<void> {
    await this.transactions[Symbol.asyncDispose]();
    await this.groups[Symbol.asyncDispose]();
  }

  #handlers(): { readonly [Name in ApiName]?: unknown } {
    const { metadata, log, clock } = this.world;
    const { gate, handlers } = this.transactions;
    const offsets = { coordinator: this.groups, metadata };
    return {
      ...handlers,
      produce: produceHandler({ log, metadata, clock, throttleMs: () => 0, transactions: gate }),
      offsetCommit: offsetCommitHandler(offsets),
      offsetFetch: offsetFetchHandler(offsets),
    };
  }
}

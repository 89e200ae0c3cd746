/**
 * The load of test/crash/table-fire.ts: one producer a table, through deaths of the broker, and a model of what was acked. All
 * that was begun is known to be in when `run` resolves, but for transactions whose end nobody answered.
 */
import type { Kafka, Producer as KafkaProducer, Message } from "kafkajs";
import type { Random } from "../../src/base/runtime.ts";
import { Connection } from "../jepsen/connection.ts";
import { pause } from "../jepsen/pause.ts";
import { Producer } from "../jepsen/producer.ts";
import { seededRandom } from "../support/seeded.ts";
import type { FireModel, SentTransaction, StateRow } from "./fire-check.ts";
import type { FireTable } from "./fire-plan.ts";

export const firePartitions: Readonly<Record<FireTable, number>> = { plain: 3, accounts: 2, state: 2, changes: 2 };
const keys = 60;
/** Between sends: the tables are read whole in each cycle. */
const breathMs = 40;

interface Mutable extends FireModel {
  readonly plain: Set<number>;
  readonly letters: Set<number>;
  readonly accounts: SentTransaction[];
  readonly state: Map<string, StateRow>;
  readonly changes: Map<string, StateRow>;
}

interface Change {
  /** Number of the key. */
  readonly at: number;
  readonly before: StateRow | null;
  readonly after: StateRow | null;
}

export class FireLoad implements AsyncDisposable {
  readonly #model: Mutable = {
    plain: new Set(),
    letters: new Set(),
    accounts: [],
    state: new Map(),
    changes: new Map(),
  };
  readonly #random: Random;
  readonly #producer: KafkaProducer;
  readonly #connection: Connection;
  #transactions: Producer | undefined;
  #next = 0;

  private constructor(producer: KafkaProducer, connection: Connection, seed: number) {
    this.#producer = producer;
    this.#connection = connection;
    this.#random = seededRandom(seed);
  }

  static async open(kafka: Kafka, port: number, seed: number): Promise<FireLoad> {
    const retry = { retries: 1000, initialRetryTime: 20, maxRetryTime: 200 };
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry });
    await producer.connect(); // Before any broker is killed: kafkajs gives up when it loses one while it asks for a producer id.
    const connection = new Connection(port);
    // Who asks first makes the internal topic.
    await connection.call("findCoordinator", 4, { keyType: 1, coordinatorKeys: ["any"] });
    return new FireLoad(producer, connection, seed);
  }

  get model(): FireModel {
    return this.#model;
  }

  /** Records so far. */
  get sent(): number {
    return this.#next;
  }

  async run(signal: AbortSignal): Promise<void> {
    const loops = [() => this.#plain(), () => this.#state(), () => this.#changes(), () => this.#transaction()];
    await Promise.all(
      loops.map(async (turn) => {
        while (!signal.aborted) {
          await turn();
          await pause(breathMs);
        }
      }),
    );
    await this.#ready(); // An open transaction of before holds the table back until its successor ends it.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.disconnect();
    await this.#connection[Symbol.asyncDispose]();
  }

  /** Some with a column more, some that are no JSON. */
  async #plain(): Promise<void> {
    const ids = Array.from({ length: 1 + this.#below(8) }, () => this.#id());
    const bad = new Set(ids.filter(() => this.#random.unit() < 0.05));
    const text = (id: number): string =>
      bad.has(id) ? `not JSON ${id}` : JSON.stringify({ id, v: `v${id}`, [`c${this.#below(4)}`]: id });
    await this.#send(
      "plain",
      ids.map((id) => ({ partition: id % firePartitions.plain, value: text(id) })),
    );
    for (const id of ids) (bad.has(id) ? this.#model.letters : this.#model.plain).add(id);
  }

  /** The Kafka key is the row's. */
  async #state(): Promise<void> {
    const changes = Array.from({ length: 1 + this.#below(6) }, () => this.#change("state"));
    const messages = changes.map(({ at, after }) => ({
      partition: at % firePartitions.state,
      key: `k${at}`,
      value: after === null ? null : JSON.stringify({ name: `k${at}`, ...after }),
    }));
    await this.#send("state", messages);
  }

  /** Debezium's envelopes; the row's own column is the key. */
  async #changes(): Promise<void> {
    const changes = Array.from({ length: 1 + this.#below(6) }, () => this.#change("changes"));
    const named = (at: number, row: StateRow | null) => (row === null ? null : { id: `k${at}`, ...row });
    const messages = changes.map(({ at, before, after }) => ({
      partition: at % firePartitions.changes,
      key: `k${at}`,
      value: JSON.stringify({
        before: named(at, before),
        after: named(at, after),
        op: after === null ? "d" : before === null ? "c" : "u",
      }),
    }));
    await this.#send("changes", messages);
  }

  /** One in five is aborted. */
  async #transaction(): Promise<void> {
    const producer = await this.#ready();
    if (producer === undefined) return;
    const batches = [0, 1].map((key) => Array.from({ length: 1 + this.#below(4) }, () => ({ id: this.#id(), key })));
    const ids = batches.flat().map(({ id }) => id);
    const values = (batch: readonly { readonly id: number }[]) => batch.map(({ id }) => JSON.stringify({ id }));
    const isMeant = this.#random.unit() < 0.8;
    const sent = await producer.send(batches.map((batch, key) => ({ key, values: values(batch) })));
    const isSent = sent.every(({ kind }) => kind === "appended");
    const ended = isSent ? await producer.end(isMeant) : undefined;
    if (ended?.kind !== "done") this.#transactions = undefined;
    // What was never told to end is aborted by its successor.
    const outcome =
      ended === undefined ? "aborted" : ended.kind === "done" ? (isMeant ? "committed" : "aborted") : "unknown";
    this.#model.accounts.push({ ids, outcome });
  }

  async #ready(): Promise<Producer | undefined> {
    if (this.#transactions !== undefined) return this.#transactions;
    const connection = this.#connection;
    const producer = new Producer({ connection, topic: "accounts", transactionalId: "fire", transactionVersion: 2 });
    if (await producer.init()) this.#transactions = producer;
    return this.#transactions;
  }

  async #send(topic: FireTable, messages: Message[]): Promise<void> {
    await this.#producer.send({ topic, acks: -1, messages });
  }

  /** Into the model at once: a send goes on until it is acked, and nobody looks before. */
  #change(table: "state" | "changes"): Change {
    const at = this.#below(keys);
    const before = this.#model[table].get(`k${at}`) ?? null;
    const after =
      this.#random.unit() < 0.25 && before !== null
        ? null
        : { region: ["eu", "us", "asia"][this.#below(3)] as string, v: this.#id() };
    if (after === null) this.#model[table].delete(`k${at}`);
    else this.#model[table].set(`k${at}`, after);
    return { at, before, after };
  }

  #id(): number {
    this.#next += 1;
    return this.#next;
  }

  #below(bound: number): number {
    return Math.floor(this.#random.unit() * bound);
  }
}

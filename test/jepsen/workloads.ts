/**
 * What the processes of a run do, one operation after the other, until the operation whose end they do not know.
 *
 *   produce-consume             idempotent producers with several batches on their way; consumers that move between keys
 *   transactions                transactions of sends and polls, one in ten aborted; consumers beside them
 *   list-append                 transactions that append to a key and read whole keys; keys are left for new ones
 *   consume-transform-produce   each input becomes one output, positions in the transaction; rivals with the same transactional id
 */
import type { Random } from "../../src/base/runtime.ts";
import type { Connection } from "./connection.ts";
import { type Operation, type Outcome, outputFor, type Poll, type Send } from "./history.ts";
import { pause } from "./pause.ts";
import { type Batch, type Ended, Producer, type Sent } from "./producer.ts";
import { fetchCommitted } from "./reader.ts";
import type { Ticks } from "./ticks.ts";

export interface RunWorld {
  readonly random: Random;
  readonly ticks: Ticks;
  readonly topic: string;
  readonly transactionVersion: 1 | 2;
  readonly isBusy: () => boolean;
  /** When everything is healed: whoever works through a queue ends when it is empty. */
  readonly isDraining: boolean;
  readonly record: (operation: Operation) => void;
  /** A value that nobody has sent: the next number. */
  readonly fresh: () => string;
  /** How many there were. */
  readonly sentCount: () => number;
}

/** One life of a process. Returns when it is not busy any more, or does not know what became of its last operation. */
export type Life = (world: RunWorld, process: number, connection: Connection) => Promise<void>;

export interface Workload {
  readonly keys: number;
  /** A life for each seat; who ends early is followed by another in the same seat. */
  readonly seats: readonly Life[];
  /** What is done after the last fault, and before everything is read. */
  readonly drains?: readonly Life[];
}

export const workloads = {
  "produce-consume": { keys: 4, seats: [producing, producing, producing, consuming, consuming] },
  transactions: {
    keys: 4,
    seats: [transacting("a"), transacting("b"), transacting("c"), producing, consuming],
  },
  "list-append": { keys: 128, seats: [appending("a"), appending("b"), appending("c"), appending("d")] },
  "consume-transform-produce": {
    keys: 4,
    // Two seats share each transactional id: whichever starts last fences the other.
    seats: [inputting, transforming("a", 0), transforms("a", 0), transforming("b", 1), transforms("b", 1)],
    drains: [transforming("a", 0), transforming("b", 1)],
  },
} as const satisfies Readonly<Record<string, Workload>>;

export type WorkloadName = keyof typeof workloads;

/** Errors that end a transaction from outside: another instance, or its timeout. */
const fenced: ReadonlySet<string> = new Set([
  "PRODUCER_FENCED",
  "INVALID_PRODUCER_EPOCH",
  "INVALID_TXN_STATE",
  "TRANSACTION_ABORTABLE",
]);

function below(random: Random, bound: number): number {
  return Math.floor(random.unit() * bound);
}

/** Between operations, so that no process starves the others of the two cores that all share. */
async function breathe({ random }: RunWorld): Promise<void> {
  await pause(below(random, 15));
}

function batchFor(world: RunWorld, key: number): Batch {
  return { key, values: Array.from({ length: 1 + below(world.random, 3) }, () => world.fresh()) };
}

async function producing(world: RunWorld, process: number, connection: Connection): Promise<void> {
  const producer = newProducer(world, connection, null);
  if (!(await producer.init())) return;
  const keys = (workloads["produce-consume"] satisfies Workload).keys;
  while (world.isBusy()) {
    const batches = Array.from({ length: 1 + below(world.random, 4) }, () =>
      batchFor(world, below(world.random, keys)),
    );
    const begun = world.ticks.next();
    const results = await producer.send(batches);
    for (const [at, sent] of results.entries()) {
      const step = sendStep(world, batches[at] as Batch, sent, begun);
      const outcome = outcomeOf(sent);
      const unexpected = sent.kind === "refused" ? { unexpected: `produce: ${sent.error}` } : {};
      world.record({ process, kind: "send", outcome, steps: [step], ...unexpected });
    }
    if (results.some(({ kind }) => kind !== "appended")) return;
    await breathe(world);
  }
}

function outcomeOf(sent: Sent): Outcome {
  if (sent.kind === "appended") return "ok";
  return sent.kind === "refused" && !sent.wasMaybeSent ? "fail" : "info";
}

function sendStep({ ticks }: RunWorld, { key, values }: Batch, sent: Sent, begun: number): Send {
  const offset = sent.kind === "appended" ? sent.offset : undefined;
  return { kind: "send", key, values, offset, begun, ended: ticks.next() };
}

/** Reads some keys for a while, then others, from where it was or from the beginning. */
async function consuming(world: RunWorld, process: number, connection: Connection): Promise<void> {
  const consumer = new Consumer(world, process, connection);
  while (world.isBusy()) {
    if (world.random.unit() < 0.03) consumer.assign();
    const polls = await consumer.poll();
    if (polls === undefined) return;
    if (polls.length > 0) world.record({ process, kind: "poll", outcome: "ok", steps: polls });
    await breathe(world);
  }
}

class Consumer {
  readonly #world: RunWorld;
  readonly #process: number;
  readonly #connection: Connection;
  #positions = new Map<number, number>();

  constructor(world: RunWorld, process: number, connection: Connection) {
    this.#world = world;
    this.#process = process;
    this.#connection = connection;
    this.assign();
  }

  assign(): void {
    const { random, record } = this.#world;
    const keys = Array.from({ length: 4 }, (_, key) => key).filter((key) => key === 0 || random.unit() < 0.6);
    this.#positions = new Map(keys.map((key) => [key, random.unit() < 0.2 ? 0 : (this.#positions.get(key) ?? 0)]));
    record({ process: this.#process, kind: "assign", outcome: "ok", steps: [] });
  }

  /** undefined: the broker answered what none should, and that is recorded. */
  async poll(): Promise<readonly Poll[] | undefined> {
    const { topic, ticks, record } = this.#world;
    const options = { topic, positions: this.#positions, bytesMax: 4_000, namesProducers: false };
    const fetched = await fetchCommitted(this.#connection, ticks, options);
    if (fetched.kind === "unexpected") {
      record({ process: this.#process, kind: "poll", outcome: "fail", steps: [], unexpected: fetched.error });
      return undefined;
    }
    if (fetched.kind === "nothing") return [];
    for (const [key, offset] of fetched.next) this.#positions.set(key, offset);
    return fetched.polls;
  }
}

function transacting(name: string): Life {
  return async (world, process, connection) => {
    const producer = newProducer(world, connection, `transacting-${name}`);
    if (!(await producer.init())) return;
    const consumer = new Consumer(world, process, connection);
    while (world.isBusy()) {
      if (world.random.unit() < 0.03) consumer.assign();
      const end = await transaction(world, process, producer, async (steps) => {
        for (let left = 1 + below(world.random, 4); left > 0; left -= 1) {
          if (world.random.unit() < 0.4) steps.push(...((await consumer.poll()) ?? []));
          else {
            const result = await sendInto(steps, world, producer, batchFor(world, below(world.random, 4)));
            if (result !== undefined) return result;
          }
        }
        return "whole";
      });
      if (end === "over") return;
      await breathe(world);
    }
  };
}

const appendsPerKey = 120;
const keysInUse = 3;

/** Reads are of whole keys, from the first offset to what is stable. */
function appending(name: string): Life {
  return async (world, process, connection) => {
    const producer = newProducer(world, connection, `appending-${name}`);
    if (!(await producer.init())) return;
    const { keys } = workloads["list-append"];
    while (world.isBusy()) {
      const end = await transaction(world, process, producer, async (steps) => {
        for (let left = 1 + below(world.random, 4); left > 0; left -= 1) {
          const first = Math.min(keys - keysInUse, Math.floor(world.sentCount() / appendsPerKey));
          const key = first + below(world.random, keysInUse);
          if (world.random.unit() < 0.5) steps.push(...(await wholeKey(world, connection, key)));
          else {
            const result = await sendInto(steps, world, producer, { key, values: [world.fresh()] });
            if (result !== undefined) return result;
          }
        }
        return "whole";
      });
      if (end === "over") return;
      await breathe(world);
    }
  };
}

/** One poll of everything that was stable when it began. Nothing when the broker cannot be asked to the end. */
export async function wholeKey(
  { topic, ticks }: Pick<RunWorld, "topic" | "ticks">,
  connection: Connection,
  key: number,
  namesProducers = false,
): Promise<readonly Poll[]> {
  let whole: Poll | undefined;
  for (let from = 0; ; ) {
    const positions = new Map([[key, from]]);
    const fetched = await fetchCommitted(connection, ticks, { topic, positions, bytesMax: 1_000_000, namesProducers });
    if (fetched.kind !== "polls") return [];
    const [poll] = fetched.polls;
    if (poll === undefined) return [];
    whole = whole === undefined ? poll : { ...whole, reads: [...whole.reads, ...poll.reads], ended: poll.ended };
    const next = fetched.next.get(key) ?? from;
    if (next >= whole.lastStable || next === from) return [whole];
    from = next;
  }
}

/** The only writer of the inputs, which are in key 0 and 1. */
async function inputting(world: RunWorld, process: number, connection: Connection): Promise<void> {
  const producer = newProducer(world, connection, null);
  if (!(await producer.init())) return;
  while (world.isBusy()) {
    const begun = world.ticks.next();
    const batch = batchFor(world, below(world.random, 2));
    const [sent] = (await producer.send([batch])) as [Sent];
    const unexpected = sent.kind === "refused" ? { unexpected: `produce: ${sent.error}` } : {};
    const steps = [sendStep(world, batch, sent, begun)];
    world.record({ process, kind: "send", outcome: outcomeOf(sent), steps, ...unexpected });
    if (sent.kind !== "appended") return;
    await breathe(world);
  }
}

/** Outputs go to the keys 2 and 3. The group's offset says how far the inputs of a key have become outputs. */
function transforming(name: string, key: number): Life {
  return async (world, process, connection) => {
    const producer = newProducer(world, connection, `transforming-${name}`);
    if (!(await producer.init())) return;
    const group = `transforming-${name}`;
    let position = await committedOffset(world, connection, group, key);
    while (world.isBusy() && position !== undefined) {
      const from: number = position;
      let next = from;
      let isAtEnd = false;
      const end = await transaction(world, process, producer, async (steps) => {
        const positions = new Map([[key, from]]);
        const options = { topic: world.topic, positions, bytesMax: 2_000, namesProducers: false };
        const fetched = await fetchCommitted(connection, world.ticks, options);
        if (fetched.kind !== "polls") return "whole";
        const inputs = fetched.polls.flatMap(({ reads }) => reads.map(({ value }) => value));
        next = fetched.next.get(key) ?? from;
        isAtEnd = fetched.polls.some(({ highWatermark }) => highWatermark === next);
        if (inputs.length === 0) return "whole";
        const values = inputs.map((input) => outputFor(world.fresh(), input));
        const result = await sendInto(steps, world, producer, { key: 2 + below(world.random, 2), values });
        return result ?? (await producer.commitOffset(group, key, next));
      });
      if (end === "over" || (end === "committed" && isAtEnd && world.isDraining)) return;
      const isAskedAnew = end === "aborted" || world.random.unit() < 0.1;
      position = isAskedAnew ? await committedOffset(world, connection, group, key) : next;
      await breathe(world);
    }
  };
}

/** The same, and begins now and then while the other still goes on. */
function transforms(name: string, key: number): Life {
  return async (world, process, connection) => {
    await pause(1_000 + below(world.random, 4_000));
    if (world.isBusy()) await transforming(name, key)(world, process, connection);
  };
}

/** As the group has it, once no transaction is about to change it; 0 where it has none. */
async function committedOffset(
  { topic, isBusy }: RunWorld,
  connection: Connection,
  groupId: string,
  key: number,
): Promise<number | undefined> {
  for (; isBusy(); await pause(50)) {
    const groups = [{ groupId, topics: [{ name: topic, partitionIndexes: [key] }] }];
    const reply = await connection.call("offsetFetch", 9, { groups, requireStable: true });
    const partition = reply.kind === "answer" ? reply.body.groups[0]?.topics[0]?.partitions[0] : undefined;
    if (partition?.errorCode === 0) return Math.max(0, partition.committedOffset);
  }
  return undefined;
}

/** undefined: go on. */
async function sendInto(
  steps: (Send | Poll)[],
  world: RunWorld,
  producer: Producer,
  batch: Batch,
): Promise<Sent | undefined> {
  const begun = world.ticks.next();
  const [sent] = (await producer.send([batch])) as [Sent];
  steps.push(sendStep(world, batch, sent, begun));
  return sent.kind === "appended" ? undefined : sent;
}

/**
 * One transaction: its work, then its end, as whole or, one time in ten, aborted all the same. Over: its process must end.
 * Only whoever asks for a commit can bring it about, so that a transaction for which nobody asked has failed, whatever else is not known.
 */
async function transaction(
  world: RunWorld,
  process: number,
  producer: Producer,
  work: (steps: (Send | Poll)[]) => Promise<"whole" | Sent | Ended>,
): Promise<"committed" | "aborted" | "over"> {
  const steps: (Send | Poll)[] = [];
  const result = await work(steps);
  const record = (outcome: Outcome, refused?: string): void => {
    const unexpected = refused === undefined || fenced.has(refused) ? {} : { unexpected: `transaction: ${refused}` };
    world.record({ process, kind: "txn", outcome, steps, ...unexpected });
  };
  if (!steps.some(({ kind }) => kind === "send")) {
    record("ok");
    return "committed";
  }
  const isWhole = result === "whole" || result.kind === "done";
  const wantsCommit = isWhole && world.random.unit() >= 0.1;
  const refusedBefore = !isWhole && result.kind === "refused" ? result.error : undefined;
  if (refusedBefore !== undefined && refusedBefore !== "TRANSACTION_ABORTABLE") {
    record("fail", refusedBefore);
    return "over";
  }
  const ended = await producer.end(wantsCommit);
  if (ended.kind === "done") {
    record(wantsCommit ? "ok" : "fail");
    if (!isWhole) return "over";
    return wantsCommit ? "committed" : "aborted";
  }
  const isCertain = !wantsCommit || (ended.kind === "refused" && !ended.wasMaybeSent);
  record(isCertain ? "fail" : "info", ended.kind === "refused" ? ended.error : undefined);
  return "over";
}

function newProducer(world: RunWorld, connection: Connection, transactionalId: string | null): Producer {
  const { topic, transactionVersion } = world;
  return new Producer({ connection, topic, transactionalId, transactionVersion });
}

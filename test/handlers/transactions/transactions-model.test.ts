/** Proves: whatever a producer does, and wherever its coordinators start anew, readers see what a model of it says, and nothing hangs. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ProducerIdentity } from "../../../src/coordinator/transaction-state.ts";
import { TransactionWorld } from "./transaction-world.ts";

const partitions = [0, 1] as const;

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("produce"), partition: fc.constantFrom(...partitions) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("offset"), offset: fc.integer({ min: 0, max: 1000 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("end"), isCommit: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("init") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("zombie"), isCommit: fc.boolean() }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What the producer believes, and what readers must see of it. */
class Model {
  readonly #world: TransactionWorld;
  #by: ProducerIdentity;
  #older: ProducerIdentity | undefined;
  readonly #sequences = new Map<number, number>();
  readonly #open = new Map<number, number>();
  #openOffset: number | undefined;
  readonly committed = new Map<number, number>();
  offset = -1;

  constructor(world: TransactionWorld, by: ProducerIdentity) {
    this.#world = world;
    this.#by = by;
  }

  async run(asked: Step): Promise<void> {
    if ("partition" in asked) await this.#produce(asked.partition);
    else if ("offset" in asked) {
      expect(await this.#retried(() => this.#world.commitOffset(this.#by, asked.offset))).toBe("NONE");
      this.#openOffset = asked.offset;
    } else if (asked.kind === "restart") await this.#world.restart();
    else if (asked.kind === "init") await this.#init();
    else if ("isCommit" in asked)
      await (asked.kind === "end" ? this.#end(asked.isCommit) : this.#zombie(asked.isCommit));
  }

  async #produce(partition: number): Promise<void> {
    const baseSequence = this.#sequences.get(partition) ?? 0;
    expect(await this.#retried(() => this.#world.produce(this.#by, { partition, baseSequence }))).toBe("NONE");
    this.#sequences.set(partition, baseSequence + 1);
    this.#open.set(partition, (this.#open.get(partition) ?? 0) + 1);
  }

  async #end(isCommit: boolean): Promise<void> {
    const isEmpty = this.#open.size === 0 && this.#openOffset === undefined;
    await this.#world.settled();
    const { error, producer } = await this.#world.inTime(this.#world.end(this.#by, isCommit));
    expect(error).toBe(isEmpty && isCommit ? "INVALID_TXN_STATE" : "NONE");
    if (error !== "NONE") return;
    if (isCommit) {
      for (const [at, count] of this.#open) this.committed.set(at, (this.committed.get(at) ?? 0) + count);
      this.offset = this.#openOffset ?? this.offset;
    }
    this.#becomes(producer);
  }

  async #init(): Promise<void> {
    const first = await this.#world.inTime(this.#world.init()).catch((cause: Error) => cause.message);
    await this.#world.settled();
    this.#becomes(typeof first === "string" ? await this.#world.inTime(this.#world.init()) : first);
  }

  /** The producer as it was before its last end or init: it decides and writes nothing. */
  async #zombie(isCommit: boolean): Promise<void> {
    if (this.#older === undefined || (this.#open.size === 0 && this.#openOffset === undefined)) return;
    expect((await this.#world.end(this.#older, isCommit)).error).toBe("PRODUCER_FENCED");
    expect(await this.#world.produce(this.#older)).toBe("INVALID_PRODUCER_EPOCH");
  }

  #becomes(producer: ProducerIdentity): void {
    this.#older = this.#by;
    this.#by = producer;
    this.#sequences.clear();
    this.#open.clear();
    this.#openOffset = undefined;
  }

  /** As a client does it: what passes is repeated. */
  async #retried(ask: () => Promise<string | undefined>): Promise<string | undefined> {
    const error = await this.#world.inTime(ask());
    if (error !== "NOT_ENOUGH_REPLICAS" && error !== "COORDINATOR_NOT_AVAILABLE") return error;
    await this.#world.settled();
    return await this.#world.inTime(ask());
  }
}

test("readers see whole transactions", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      await using world = await TransactionWorld.open();
      const model = new Model(world, await world.init());
      for (const asked of steps) await model.run(asked);
      // Whatever is still open goes the way of a crashed producer's: its next instance aborts it.
      await world.inTime(world.init()).catch(() => undefined);
      await world.settled();
      await world.restart();
      expect(await world.settled()).not.toBe("Ongoing");
      for (const index of partitions) {
        expect(await world.committed(index)).toBe(model.committed.get(index) ?? 0);
        const partition = world.world.partition(world.topicId("orders"), index);
        expect(partition.lastStable).toBe(partition.highWatermark);
      }
      expect(await world.fetchOffset(true)).toBe(model.offset);
    }),
    { numRuns: 150, timeout: 10_000 }, // A run that hangs is told with its seed.
  );
});

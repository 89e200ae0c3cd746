/** Proves: what was acked is in both halves, and what either shows at recovery is in both before it is served. */
import { describe, expect, test } from "vitest";
import { CorruptData, OperationFailed } from "../../src/base/errors.ts";
import type { Offset, StreamId } from "../../src/base/ids.ts";
import { ReplicatedWal } from "../../src/stream/replicated-wal.ts";
import type { Wal, WalEntry, WalPosition, WalRecord } from "../../src/stream/wal.ts";
import { silent } from "../support/seeded.ts";
import { append, contractBytesMax, numbersOf, recover, upTo, type WalWorld, walContract } from "./wal-contract.ts";

/** What a WAL in memory keeps, and what goes wrong with it. */
class Place {
  readonly records: (WalRecord & { readonly end: WalPosition })[] = [];
  end = 0;
  trimmed = 0;
  isBroken = false;
  isUnreadable = false;
  isTrimBroken = false;
  isAbandoned = false;
  /** Appends that are not durable yet, when `holds` is set. */
  holds = false;
  readonly held: (() => void)[] = [];

  start(): MemoryWal {
    return new MemoryWal(this);
  }
}

class MemoryWal implements Wal {
  readonly bytesMax = contractBytesMax;
  readonly slots = undefined;
  readonly #place: Place;
  #waiting = 0;
  #isClosed = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(place: Place) {
    this.#place = place;
  }
  get durable(): WalPosition {
    return this.#place.end as WalPosition;
  }
  get bytesUsed(): number {
    return this.#place.end - this.#place.trimmed + this.#waiting;
  }
  async recover(visit: (record: WalRecord, end: WalPosition) => void): Promise<void> {
    const { isUnreadable, records, trimmed } = this.#place;
    if (isUnreadable) throw new CorruptData({ source: "place", position: 0, expected: "records", found: "rot" });
    for (const record of records.filter(({ end }) => end > trimmed)) visit(record, record.end);
  }
  append(entry: WalEntry): void {
    const place = this.#place;
    this.#waiting += entry.bytes.length;
    const { stream, epoch, after, from, to, maxTimestamp } = entry;
    const bytes = Uint8Array.from(entry.bytes);
    this.#last = this.#last
      .then(() => (place.holds ? new Promise<void>((resolve) => place.held.push(resolve)) : undefined))
      .then(() => {
        if (place.isBroken || place.isAbandoned) {
          entry.failed(new OperationFailed("broken", { happened: "maybe" }));
          return;
        }
        this.#waiting -= bytes.length;
        place.end += bytes.length;
        place.records.push({ stream, epoch, after, from, to, maxTimestamp, bytes, end: this.durable });
        entry.durable(this.durable);
      });
    if (this.#isClosed) throw new Error("appended to after the end");
  }
  async trim(position: WalPosition): Promise<void> {
    expect(position).toBeLessThanOrEqual(this.durable);
    if (this.#place.isTrimBroken) throw new Error("EIO");
    this.#place.trimmed = Math.max(this.#place.trimmed, position);
  }
  async abandon(): Promise<void> {
    this.#place.isAbandoned = true;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.#isClosed = true;
  }
}

class ReplicatedWorld implements WalWorld {
  readonly places = [new Place(), new Place()] as const;
  readonly onLoss: "stop" | "continue";
  alone = 0;

  constructor(onLoss: "stop" | "continue" = "stop") {
    this.onLoss = onLoss;
  }
  start(): ReplicatedWal {
    const [first, second] = this.places;
    const isAlone = { set: (value: number) => void (this.alone = value) };
    return new ReplicatedWal({ halves: [first.start(), second.start()], onLoss: this.onLoss, logger: silent, isAlone });
  }
  async breakWrites(): Promise<void> {
    this.places[1].isBroken = true;
  }
}

walContract("two WALs", () => new ReplicatedWorld());

async function started(world: ReplicatedWorld): Promise<ReplicatedWal> {
  const wal = world.start();
  await recover(wal);
  return wal;
}

const numbersIn = (place: Place): readonly number[] => place.records.map(({ from }) => from);

describe("replicated WAL", () => {
  test("acks what both have, in order, whichever is slower", async () => {
    const world = new ReplicatedWorld();
    const [first, second] = world.places;
    const wal = await started(world);
    for (const [slow, fast] of [
      [first, second],
      [second, first],
    ] as const) {
      slow.holds = true;
      const had = numbersIn(fast).length;
      let acked = 0;
      const acks = upTo(3).map((i) => append(wal, had + i).then(() => (acked += 1)));
      while (numbersIn(fast).length < had + 3 || slow.held.length === 0)
        await new Promise((resolve) => setImmediate(resolve));
      expect(acked).toBe(0);
      slow.holds = false;
      slow.held.shift()?.();
      await Promise.all(acks);
    }
  });

  test("what one half alone has is shown, and is in both before anything is served", async () => {
    for (const [longer, shorter] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const world = new ReplicatedWorld();
      const wal = await started(world);
      await Promise.all(upTo(5).map((i) => append(wal, i)));
      world.places[shorter].records.splice(3); // Never acked there: the process died in between.
      const again = world.start();
      expect(numbersOf(await recover(again))).toEqual(upTo(5));
      expect(numbersIn(world.places[shorter])).toEqual(upTo(5));
      await append(again, 5);
      world.places[longer].records.splice(0); // Lost for good, and the other has all.
      expect(numbersOf(await recover(world.start()))).toEqual(upTo(6));
    }
  });

  test("trimmed further in one half than in the other, nothing is missing, and what objects have is not written again", async () => {
    const world = new ReplicatedWorld();
    const wal = await started(world);
    for (const i of upTo(6)) await append(wal, i);
    world.places[0].records.splice(0, 4);
    world.places[1].records.splice(5);
    expect(numbersOf(await recover(world.start()))).toEqual(upTo(6));
    expect(world.places.map(numbersIn)).toEqual([[4, 5], upTo(6)]);
  });

  test("told to stop, it fails when one half does; told to go on, it says so and the lost half counts no more", async () => {
    const stopping = new ReplicatedWorld("stop");
    const stopped = await started(stopping);
    await stopping.breakWrites();
    await expect(append(stopped, 0)).rejects.toMatchObject({ happened: "maybe" });
    expect(stopping.alone).toBe(0);

    const going = new ReplicatedWorld("continue");
    const wal = await started(going);
    await append(wal, 0);
    await going.breakWrites();
    await Promise.all(upTo(4).map((i) => append(wal, 1 + i)));
    expect(going.alone).toBe(1);
    expect(going.places[1].isAbandoned).toBe(true);
    await wal[Symbol.asyncDispose]();
    going.places[1].isBroken = false;
    going.places[1].isAbandoned = false;
    expect(numbersOf(await recover(going.start()))).toEqual(upTo(5));
    expect(numbersIn(going.places[1])).toEqual(upTo(5)); // Both again.
    expect(going.alone).toBe(0);
    going.places[0].isBroken = true;
    const last = await started(going);
    going.places[1].isBroken = true;
    await expect(append(last, 5)).rejects.toMatchObject({ happened: "maybe" });
  });

  test("a half that cannot be trimmed is lost like one that cannot be written", async () => {
    for (const onLoss of ["stop", "continue"] as const) {
      const world = new ReplicatedWorld(onLoss);
      const wal = await started(world);
      await append(wal, 0);
      await append(wal, 1);
      world.places[0].isTrimBroken = true;
      if (onLoss === "stop") {
        await expect(wal.trim(1 as WalPosition)).rejects.toMatchObject({ happened: "maybe" });
        await expect(append(wal, 2)).rejects.toMatchObject({ happened: "maybe" });
      } else {
        await wal.trim(1 as WalPosition);
        expect(world.alone).toBe(1);
        expect(world.places[0].isAbandoned).toBe(true);
        expect(world.places[1].trimmed).toBe(100);
        await append(wal, 2);
        await wal.trim(3 as WalPosition);
        expect(world.places[1].trimmed).toBe(300);
      }
    }
  });

  test("a half that cannot be read stops the start, unless the other may go on alone", async () => {
    for (const onLoss of ["stop", "continue"] as const) {
      const world = new ReplicatedWorld(onLoss);
      const wal = await started(world);
      await append(wal, 0);
      world.places[0].isUnreadable = true;
      const again = world.start();
      if (onLoss === "stop") await expect(recover(again)).rejects.toThrow(/not in both/);
      else {
        expect(numbersOf(await recover(again))).toEqual([0]);
        await append(again, 1);
        expect(numbersIn(world.places[1])).toEqual([0, 1]);
      }
    }
  });

  test("streams are told apart", async () => {
    const world = new ReplicatedWorld();
    const wal = await started(world);
    const [a, b] = [1, 2] as [StreamId, StreamId];
    await Promise.all([append(wal, 0, 10, a), append(wal, 0, 10, b), append(wal, 1, 10, a), append(wal, 1, 10, b)]);
    world.places[0].records.splice(2);
    const found = await recover(world.start());
    expect(numbersOf(found, a)).toEqual([0, 1]);
    expect(numbersOf(found, b)).toEqual([0, 1]);
    expect(world.places[0].records.map(({ stream, from }): [StreamId, Offset] => [stream, from])).toEqual([
      [a, 0],
      [b, 0],
      [a, 1],
      [b, 1],
    ]);
  });
});

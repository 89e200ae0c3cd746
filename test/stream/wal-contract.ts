/** What every kind of WAL promises (src/stream/wal.ts), whatever it writes to. */
import { describe, expect, test } from "vitest";
import type { Offset, StreamId } from "../../src/base/ids.ts";
import type { Wal, WalPosition } from "../../src/stream/wal.ts";

/** What survives a process: a disk, a store. */
export interface WalWorld {
  /** The WAL of the next process; the one before is dead, or was closed. */
  start(): Wal;
  /** Nothing becomes durable in the WAL that was started last, and it gets to know. */
  breakWrites(): Promise<void>;
}

/** Small enough for these. */
export const contractBytesMax = 128 * 1024;

export interface Numbered {
  readonly stream: StreamId;
  readonly number: number;
}

const first = 7 as StreamId;
const second = 3 as StreamId;

/** Record `number` of a stream: its offset is the number, its bytes are made from it. Resolves when it is durable. */
export function append(wal: Wal, number: number, length = 100, stream: StreamId = first): Promise<WalPosition> {
  let settled = 0;
  return new Promise((resolve, reject) => {
    const once = <T>(settle: (value: T) => void): ((value: T) => void) => {
      return (value) => {
        settled += 1;
        expect(settled, "exactly one of the two is called, once").toBe(1);
        settle(value);
      };
    };
    wal.append({
      stream,
      epoch: 1,
      after: number as Offset,
      from: number as Offset,
      to: (number + 1) as Offset,
      maxTimestamp: number,
      bytes: new Uint8Array(length).fill(number),
      label: Uint8Array.of(stream),
      durable: once(resolve),
      failed: once(reject),
    });
  });
}

export interface Recovered {
  readonly records: readonly Numbered[];
  readonly ends: readonly WalPosition[];
}

/** Recovers the WAL, and checks each record against what it was made from. */
export async function recover(wal: Wal): Promise<Recovered> {
  const records: Numbered[] = [];
  const ends: WalPosition[] = [];
  await wal.recover((record, end) => {
    expect(record.after).toBe(record.from);
    expect(record.to).toBe(record.from + 1);
    expect(record.maxTimestamp).toBe(record.from);
    expect(record.epoch).toBe(1);
    expect(record.bytes.every((byte) => byte === (record.from & 255))).toBe(true);
    records.push({ stream: record.stream, number: record.from });
    ends.push(end);
  });
  expect(ends.toSorted((a, b) => a - b)).toEqual(ends);
  expect(ends.at(-1) ?? 0).toBeLessThanOrEqual(wal.durable);
  return { records, ends };
}

export function numbersOf({ records }: Recovered, stream: StreamId = first): readonly number[] {
  return records.filter((record) => record.stream === stream).map(({ number }) => number);
}

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

export function walContract(name: string, makeWorld: () => WalWorld): void {
  const started = async (world: WalWorld): Promise<Wal> => {
    const wal = world.start();
    await recover(wal);
    return wal;
  };
  const recovered = async (world: WalWorld): Promise<Recovered> => {
    const wal = world.start();
    const found = await recover(wal);
    await wal[Symbol.asyncDispose]();
    return found;
  };

  describe(`${name} as a WAL`, () => {
    test("is empty at first", async () => {
      const world = makeWorld();
      const wal = world.start();
      expect((await recover(wal)).records).toEqual([]);
      expect(wal.bytesMax).toBe(contractBytesMax);
      await wal[Symbol.asyncDispose]();
    });

    test("gives back what was appended, each stream in order, after a close", async () => {
      const world = makeWorld();
      const wal = await started(world);
      const appended = upTo(60).flatMap((i) => [append(wal, i, 1 + 50 * i), append(wal, i, 20, second)]);
      await Promise.all(appended);
      await wal[Symbol.asyncDispose]();
      const found = await recovered(world);
      expect(numbersOf(found)).toEqual(upTo(60));
      expect(numbersOf(found, second)).toEqual(upTo(60));
    });

    test("makes records durable in call order, each at or above the one before, and below `durable`", async () => {
      const world = makeWorld();
      const wal = await started(world);
      const order: number[] = [];
      const ends: WalPosition[] = [];
      await Promise.all(
        upTo(50).map(async (i) => {
          const end = await append(wal, i, 500, i % 3 === 0 ? second : first);
          expect(wal.durable).toBeGreaterThanOrEqual(end);
          order.push(i);
          ends.push(end);
        }),
      );
      expect(order).toEqual(upTo(50));
      expect(ends.toSorted((a, b) => a - b)).toEqual(ends);
      await wal[Symbol.asyncDispose]();
    });

    test("keeps what was acked when the process dies, and maybe more, without a hole", async () => {
      const world = makeWorld();
      const wal = await started(world);
      let acked = 0;
      for (const i of upTo(40))
        void append(wal, i, 300).then(
          () => (acked += 1),
          () => undefined,
        );
      await append(wal, 40, 10, second);
      const seen = acked;
      expect(seen).toBe(40); // Before it in call order.
      for (const i of upTo(20)) void append(wal, 40 + i, 300).catch(() => undefined);
      const found = numbersOf(await recovered(world));
      expect(found.length).toBeGreaterThanOrEqual(seen);
      expect(found).toEqual(upTo(found.length));
    });

    test("goes on where the process before stopped", async () => {
      const world = makeWorld();
      for (let life = 0; life < 4; life += 1) {
        const wal = world.start();
        expect(numbersOf(await recover(wal))).toEqual(upTo(5 * life));
        await Promise.all(upTo(5).map((i) => append(wal, 5 * life + i, 700)));
        if (life % 2 === 0) await wal[Symbol.asyncDispose]();
      }
      expect(numbersOf(await recovered(world))).toEqual(upTo(20));
    });

    test("is recovered to the same again, when nothing came between", async () => {
      const world = makeWorld();
      const wal = await started(world);
      await Promise.all(upTo(30).map((i) => append(wal, i, 800)));
      const once = await recover(world.start());
      expect(await recover(world.start())).toEqual(once);
      expect(await recovered(world)).toEqual(once);
    });

    test("gives nothing up above a trim, and forgets what is below in the end", async () => {
      const world = makeWorld();
      const wal = await started(world);
      const ends: WalPosition[] = [];
      for (const i of upTo(60)) ends.push(await append(wal, i, 3000));
      await wal.trim(ends[39] as WalPosition);
      await append(wal, 60);
      await wal[Symbol.asyncDispose]();
      const again = world.start();
      const found = await recover(again);
      const numbers = numbersOf(found);
      expect(numbers[0]).toBeGreaterThan(0);
      expect(numbers[0]).toBeLessThanOrEqual(40);
      expect(numbers).toEqual(upTo(61).slice(numbers[0]));
      // Positions go on to mean what they say after a recovery.
      await again.trim(found.ends[numbers.indexOf(50)] as WalPosition);
      await again[Symbol.asyncDispose]();
      const rest = numbersOf(await recovered(world));
      expect(rest[0]).toBeLessThanOrEqual(51);
      expect(rest).toEqual(upTo(61).slice(rest[0]));
    });

    test("counts what is enqueued and not trimmed, and nothing else", async () => {
      const world = makeWorld();
      const wal = await started(world);
      await wal.trim(wal.durable);
      expect(wal.bytesUsed).toBe(0);
      const acks = upTo(10).map((i) => append(wal, i, 2000));
      expect(wal.bytesUsed).toBeGreaterThanOrEqual(20_000);
      await Promise.all(acks);
      expect(wal.bytesUsed).toBeGreaterThanOrEqual(20_000);
      await wal.trim(wal.durable);
      expect(wal.bytesUsed).toBe(0);
      for (const i of upTo(200)) await wal.trim(await append(wal, 10 + i, 5000)); // More than it has room for.
      expect(wal.bytesUsed).toBe(0);
      await wal[Symbol.asyncDispose]();
    });

    test("takes a record larger than anything it writes at once", async () => {
      const world = makeWorld();
      const wal = await started(world);
      await Promise.all([append(wal, 0, 10), append(wal, 1, 100_000), append(wal, 2, 10)]);
      await wal[Symbol.asyncDispose]();
      expect(numbersOf(await recovered(world))).toEqual([0, 1, 2]);
    });

    test("makes durable what is enqueued when it is closed, and takes nothing after", async () => {
      const world = makeWorld();
      const wal = await started(world);
      const acks = upTo(30).map((i) => append(wal, i, 900));
      await wal[Symbol.asyncDispose]();
      await Promise.all(acks);
      await expect(append(wal, 30)).rejects.toThrow(/closed/);
      expect(numbersOf(await recovered(world))).toEqual(upTo(30));
    });

    test("fails everything from the first failure on, as maybe, and loses nothing of before", async () => {
      const world = makeWorld();
      const wal = await started(world);
      await append(wal, 0);
      await world.breakWrites();
      const outcomes = await Promise.allSettled(upTo(10).map((i) => append(wal, 1 + i, 4000)));
      for (const outcome of outcomes)
        expect(outcome).toMatchObject({ status: "rejected", reason: { happened: "maybe" } });
      await expect(append(wal, 11)).rejects.toMatchObject({ happened: "maybe" });
      await wal[Symbol.asyncDispose]();
    });
  });
}

/** Proves: what a partition knows after a crash, from its sidecar and a replay, is what it knew of what was durable. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeSidecar } from "../../src/log/sidecar.ts";
import { buildMarker } from "../../src/protocol/records.ts";
import type { MemoryStream } from "../support/memory-streams.ts";
import { at, PartitionWorld } from "../support/owned-partition.ts";

type Step =
  | { readonly kind: "produce"; readonly producer: number; readonly records: number; readonly isTransactional: boolean }
  | { readonly kind: "end"; readonly producer: number; readonly outcome: "commit" | "abort" }
  | { readonly kind: "bump"; readonly producer: number }
  | { readonly kind: "plain" }
  | { readonly kind: "cut" }
  | { readonly kind: "trim"; readonly back: number }
  | { readonly kind: "restart" };

const producer = fc.integer({ min: 1, max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("produce" as const),
      producer,
      records: fc.integer({ min: 1, max: 4 }),
      isTransactional: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      producer,
      outcome: fc.constantFrom("commit" as const, "abort" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("bump" as const), producer }) },
  { weight: 1, arbitrary: fc.constant({ kind: "plain" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "cut" as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("trim" as const), back: fc.integer({ min: 0, max: 6 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
);

/** What must survive. The open epoch is not among it: each opening has its own. */
function known(world: PartitionWorld): unknown {
  const { partition } = world;
  const { upTo, epochs, aborted, producers } = decodeSidecar(partition.sidecar());
  return {
    bounds: [partition.logStart, partition.highWatermark, partition.lastStable, upTo],
    epochs: epochs.filter((entry) => entry.epoch < partition.leaderEpoch && entry.start < upTo),
    aborted,
    producers: producers
      .map(({ window, ...entry }) => ({ ...entry, window: [...window.batches()] }))
      .sort((a, b) => a.producerId - b.producerId),
  };
}

test("sidecar and replay give back producers, transactions, epochs and bounds", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const world = await PartitionWorld.open();
      const epochs = new Map<number, number>();
      const sequences = new Map<number, number>();
      for (const each of steps) {
        if (each.kind === "produce") {
          const baseSequence = sequences.get(each.producer) ?? 0;
          const outcome = await world.append(
            world.batch(each.records, {
              producerId: each.producer,
              producerEpoch: epochs.get(each.producer) ?? 0,
              baseSequence,
              isTransactional: each.isTransactional,
            }),
          );
          if (outcome.kind === "appended") sequences.set(each.producer, baseSequence + each.records);
        } else if (each.kind === "end") {
          const { producer: producerId, outcome } = each;
          const producerEpoch = epochs.get(producerId) ?? 0;
          const marker = buildMarker({ outcome, producerId, producerEpoch, coordinatorEpoch: 1, timestamp: 7 });
          await world.append(marker, { origin: "coordinator" });
        } else if (each.kind === "bump") {
          epochs.set(each.producer, (epochs.get(each.producer) ?? 0) + 1);
          sequences.set(each.producer, 0);
        } else if (each.kind === "plain") await world.append(world.batch(2));
        else if (each.kind === "cut") world.stream.cut();
        else if (each.kind === "trim") {
          await world.partition.deleteRecords(at(Math.max(0, world.partition.highWatermark - each.back)));
        } else await expectSameAfterRestart(world);
      }
      await expectSameAfterRestart(world);
    }),
    { numRuns: 200 },
  );
});

async function expectSameAfterRestart(world: PartitionWorld): Promise<void> {
  const before = known(world) as { readonly epochs: readonly { readonly epoch: number }[] };
  const last = world.partition.leaderEpoch;
  world.stream.crash();
  await world.reopen();
  const after = known(world) as typeof before;
  // The last epoch of before is history now; it left a trace only if it wrote.
  const history = after.epochs.filter((entry) => entry.epoch < last);
  expect({ ...after, epochs: history }).toEqual(before);
}

test("what was assigned and not durable is forgotten by a crash, and may be sent again", async () => {
  const world = await PartitionWorld.open();
  const batch = world.batch(2, { producerId: 1, producerEpoch: 0, baseSequence: 0 });
  await world.append(batch);
  world.streams.isDurableAtOnce = false;
  const next = world.batch(3, { producerId: 1, producerEpoch: 0, baseSequence: 2 });
  void world.append(next);
  world.stream.crash();
  await world.reopen();
  world.streams.isDurableAtOnce = true;
  expect(await world.append(next)).toMatchObject({ kind: "appended", baseOffset: 2 });
  expect(await world.append(batch)).toMatchObject({ kind: "appended", baseOffset: 0 });
});

test("an older sidecar beside a newer range is completed by replay from where it speaks", async () => {
  const world = await PartitionWorld.open();
  await world.append(world.batch(2, { producerId: 1, producerEpoch: 0, baseSequence: 0 }));
  const older = world.partition.sidecar().slice();
  await world.append(world.batch(3, { producerId: 1, producerEpoch: 0, baseSequence: 2 }));
  const stream: MemoryStream = world.stream;
  stream.sidecar = { upTo: stream.end, bytes: older };
  await world.reopen();
  expect(world.partition.producers()).toMatchObject([{ producerId: 1, lastSequence: 4 }]);
});

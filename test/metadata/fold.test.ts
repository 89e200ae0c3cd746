/** Proves the laws of the fold over random histories: all or nothing, once or not at all, and a checkpoint is as good as the log. */
import { describe, expect, test } from "vitest";
import { eventSchemas } from "../../schemas/storage.ts";
import { CorruptData } from "../../src/base/errors.ts";
import { decodeImage } from "../../src/metadata/checkpoint.ts";
import { chained, genesisHash } from "../../src/metadata/entry-format.ts";
import { decodeGroups, encodeGroups } from "../../src/metadata/event-codec.ts";
import { fold } from "../../src/metadata/fold.ts";
import { ImageState } from "../../src/metadata/image-state.ts";
import { SimRandom } from "../sim/random.ts";
import { Cluster, imageBytes, randomGroup, randomHistory } from "./generate.ts";

const seeds = Array.from({ length: 40 }, (_, seed) => seed);

/** All that the image says, but for where in the log it stands. */
function contentOf(image: ImageState): string {
  const copy = decodeImage(imageBytes(image), "copy");
  Object.assign(copy, { seq: 0, hash: genesisHash });
  copy.decisions.clear();
  return imageBytes(copy).toString("latin1");
}

describe("fold", () => {
  test("histories are worth looking at: every kind of event is accepted, every reason to refuse occurs", () => {
    const accepted = new Set<string>();
    const refused = new Set<string>();
    for (const seed of seeds) {
      const { entries } = randomHistory(new SimRandom(seed), 150);
      const image = new ImageState();
      for (const entry of entries) {
        const folded = fold(image, entry, (events) => {
          for (const { kind } of events) accepted.add(kind);
        });
        for (const refusal of folded?.decision.refusals ?? []) if (refusal !== null) refused.add(refusal.reason);
      }
    }
    expect(accepted.size).toBe(Object.keys(eventSchemas).length);
    expect([...refused].toSorted()).toEqual(
      ["exists", "fenced", "gap", "invalid", "missing", "stale-epoch", "stale-version"].toSorted(),
    );
  });

  test("events are read back as they were written", () => {
    for (const seed of seeds) {
      const random = new SimRandom(seed);
      const { image } = randomHistory(random, 50);
      const groups = Array.from({ length: 10 }, () => randomGroup(random, image));
      expect(decodeGroups(encodeGroups(groups), "test"), `seed ${seed}`).toEqual(groups);
    }
  });

  test("a refused group leaves nothing behind, also when its first events were fine", () => {
    let refused = 0;
    for (const seed of seeds) {
      const random = new SimRandom(seed);
      const cluster = randomHistory(random, 60);
      for (let i = 0; i < 40; i++) {
        const before = contentOf(cluster.image);
        const { decision } = cluster.propose(1 + random.below(3), [
          ...randomGroup(random, cluster.image),
          ...randomGroup(random, cluster.image),
        ]);
        if (decision.refusals[0] === null) continue;
        refused += 1;
        expect(contentOf(cluster.image) === before, `seed ${seed}, ${JSON.stringify(decision)}`).toBe(true);
      }
    }
    expect(refused).toBeGreaterThan(300);
  });

  test("groups of one entry stand or fall alone, in order", () => {
    for (const seed of seeds) {
      const random = new SimRandom(seed);
      const together = randomHistory(new SimRandom(seed), 60);
      const apart = decodeImage(imageBytes(together.image), "copy");
      const groups = Array.from({ length: 5 }, () => randomGroup(random, together.image)).filter(
        (group) => !group.some(({ kind }) => kind === "add-table-round" || kind === "allocate-producer-ids"),
      );
      const { decision } = together.propose(1, ...groups);
      const singles = new Cluster(new SimRandom("apart"));
      Object.assign(singles, { image: apart });
      const alone = groups.map((group) => singles.propose(1, group).decision.refusals[0]);
      expect(
        decision.refusals.map((refusal) => refusal?.reason),
        `seed ${seed}`,
      ).toEqual(alone.map((r) => r?.reason));
    }
  });

  test("entries that were folded before change nothing", () => {
    for (const seed of seeds) {
      const { image, entries } = randomHistory(new SimRandom(seed), 100);
      const before = imageBytes(image);
      for (const entry of entries) expect(fold(image, entry)).toBeUndefined();
      expect(imageBytes(image).equals(before), `seed ${seed}`).toBe(true);
    }
  });

  test("a repeat under the same opId gets the first decision and changes nothing, even after its node was fenced", () => {
    for (const seed of seeds) {
      const random = new SimRandom(seed);
      const cluster = randomHistory(random, 60);
      const first = cluster.propose(1, randomGroup(random, cluster.image), randomGroup(random, cluster.image));
      const entry = cluster.entries.at(-1);
      if (seed % 2 === 0) cluster.register(1);
      const before = contentOf(cluster.image);
      const again = cluster.store(entry as NonNullable<typeof entry>);
      expect(again, `seed ${seed}`).toMatchObject({ isNew: false, decision: first.decision });
      expect(contentOf(cluster.image) === before, `seed ${seed}`).toBe(true);
    }
  });

  test("a checkpoint at any point and the entries after it give the same image, to the byte", () => {
    for (const seed of seeds.slice(0, 10)) {
      const { image, entries } = randomHistory(new SimRandom(seed), 80);
      const expected = imageBytes(image);
      for (let cut = 0; cut <= entries.length; cut += 5) {
        const head = new ImageState();
        for (const entry of entries.slice(0, cut)) fold(head, entry);
        const resumed = decodeImage(imageBytes(head), "checkpoint");
        expect(imageBytes(resumed).equals(imageBytes(head)), `seed ${seed}, cut ${cut}`).toBe(true);
        for (const entry of entries.slice(cut)) fold(resumed, entry);
        expect(imageBytes(resumed).equals(expected), `seed ${seed}, cut ${cut}`).toBe(true);
      }
    }
  });

  test("an entry that does not follow what was folded halts", () => {
    const { image, entries } = randomHistory(new SimRandom(1), 20);
    const last = entries.at(-1) as (typeof entries)[number];
    const next = (image.seq + 1) as typeof image.seq;
    expect(() => fold(image, chained(last, next, genesisHash))).toThrow(CorruptData);
    expect(() => fold(image, chained(last, (next + 1) as typeof next, image.hash))).toThrow(CorruptData);
    expect(() => fold(image, { ...chained(last, next, image.hash), nodeEpoch: 9 as never })).toThrow(CorruptData);
  });

  test("damaged events and damaged images throw CorruptData and nothing else", () => {
    for (const seed of seeds) {
      const random = new SimRandom(seed);
      const { image, entries } = randomHistory(random, 60);
      const bytes = [imageBytes(image), ...entries.slice(-20).map(({ events }) => Buffer.from(events))];
      for (const [index, original] of bytes.entries()) {
        for (let i = 0; i < 40; i++) {
          const damaged = Buffer.from(original);
          for (let flips = 0; flips <= random.below(3); flips++)
            damaged[random.below(damaged.length)] = random.below(256);
          const cut = damaged.subarray(0, random.chance(0.3) ? random.below(damaged.length) : damaged.length);
          try {
            if (index === 0) decodeImage(cut, "fuzz");
            else decodeGroups(cut, "fuzz");
          } catch (cause) {
            if (!(cause instanceof CorruptData)) throw new Error(`seed ${seed}, input ${index}`, { cause });
          }
        }
      }
    }
  });
});

/** Proves: what is chosen to be merged, what is left alone, and that a byte is moved a logarithmic number of times. */
import { describe, expect, test } from "vitest";
import type { NodeId, Offset, Seq, StreamId } from "../../src/base/ids.ts";
import type { CommittedRange, Image, ObjectEntry } from "../../src/metadata/image.ts";
import { type PlanLimits, planMerges, replaceEvent } from "../../src/stream/merge-plan.ts";
import { chooseRuns } from "../../src/stream/merge-runs.ts";
import { SimRandom } from "../sim/random.ts";
import { objectRowsOf, rangeRowsOf } from "../support/rows.ts";
import { smallStreams } from "../support/stream-limits.ts";

const limits: PlanLimits = {
  ...smallStreams,
  mergePieceBytesMin: 0,
  mergeSourcesMin: 3,
  mergeSourcesMax: 6,
  mergeObjectBytesMax: 1000,
  mergeSpanMsMax: 100,
  streamObjectBytesMin: 300,
  objectStreamsMax: 3,
};

const sized = (...bytes: number[]) => bytes.map((each) => ({ bytes: each, maxTimestamp: -1 }));
const runs = (...bytes: number[]) => [...chooseRuns(sized(...bytes), limits)].map(({ first, end }) => [first, end]);

describe("a run", () => {
  test("is made of neighbours, the newest first, none of which is most of what comes out", () => {
    expect(runs(1, 1, 1)).toEqual([[0, 3]]);
    expect(runs(1, 1)).toEqual([]);
    expect(runs()).toEqual([]);
    expect(runs(6, 3, 1, 1, 1)).toEqual([[0, 5]]); // A half is not too much when three are enough.
    expect(runs(7, 3, 1, 1, 1)).toEqual([[1, 5]]);
    expect(runs(8, 4, 1, 1, 1)).toEqual([[2, 5]]);
    expect(runs(1, 1, 1, 90)).toEqual([[0, 3]]); // The newest may be too large as well.
    expect(runs(5, 5, 5, 90, 5, 5, 5)).toEqual([
      [4, 7],
      [0, 3],
    ]);
    expect(runs(0, 0, 0)).toEqual([[0, 3]]);
  });

  test("holds no more objects and no more bytes than it may", () => {
    expect(runs(1, 1, 1, 1, 1, 1, 1, 1)).toEqual([[2, 8]]);
    expect(runs(400, 400, 400, 400, 400)).toEqual([]);
    expect(runs(300, 300, 300, 300, 300)).toEqual([[2, 5]]);
  });

  test("does not join what is further apart in time than the span", () => {
    const at = (...times: number[]) => times.map((maxTimestamp) => ({ bytes: 1, maxTimestamp }));
    expect([...chooseRuns(at(0, 50, 100, 150), limits)]).toEqual([{ first: 1, end: 4 }]);
    expect([...chooseRuns(at(0, 101, 202), limits)]).toEqual([]);
    expect([...chooseRuns(at(-1, 0, -1), limits)]).toEqual([{ first: 0, end: 3 }]); // Of unknown age.
  });

  test("a stream that grows for long keeps few ranges, and each of its bytes was moved a few times", () => {
    for (let seed = 0; seed < 5; seed += 1) {
      const random = new SimRandom(seed);
      const some: PlanLimits = {
        ...limits,
        mergePieceBytesMin: 0,
        mergeSourcesMin: 8,
        mergeSourcesMax: 64,
        mergeObjectBytesMax: 1e6,
      };
      let ranges: { bytes: number; maxTimestamp: number }[] = [];
      let moved = 0;
      let written = 0;
      for (let upload = 0; upload < 3000; upload += 1) {
        const bytes = 1 + random.below(100);
        written += bytes;
        ranges.push({ bytes, maxTimestamp: -1 });
        for (const { first, end } of chooseRuns(ranges, some)) {
          const sum = ranges.slice(first, end).reduce((total, range) => total + range.bytes, 0);
          moved += sum;
          ranges = [...ranges.slice(0, first), { bytes: sum, maxTimestamp: -1 }, ...ranges.slice(end)];
        }
        expect(ranges.length, `seed ${seed}`).toBeLessThan(40);
      }
      expect(moved / written, `seed ${seed}`).toBeLessThan(5);
    }
  });
});

/** Streams and objects as an image tells of them. */
class Held {
  readonly objects = new Map<string, ObjectEntry>();
  readonly streams = new Map<StreamId, CommittedRange[]>();

  /** Each stream's next ten offsets, in the object. */
  upload(key: string, streams: Readonly<Record<number, number>>, kind: ObjectEntry["kind"] = "stream-set"): this {
    const bytes = Object.values(streams).reduce((sum, each) => sum + each, 0);
    const committedAt = (this.objects.size + 1) as Seq;
    this.objects.set(key, { key, bytes, kind, node: 1 as NodeId, committedAt });
    for (const [id, rangeBytes] of Object.entries(streams)) {
      const stream = Number(id) as StreamId;
      const ranges = this.streams.get(stream) ?? [];
      const from = (ranges.at(-1)?.to ?? 0) as Offset;
      const to = (from + 10) as Offset;
      ranges.push({ stream, epoch: 1, from, to, bytes: rangeBytes, maxTimestamp: -1, object: key });
      this.streams.set(stream, ranges);
    }
    return this;
  }

  get image(): Image {
    return {
      object: (key: string) => this.objects.get(key),
      stream: (id: StreamId) => (this.streams.has(id) ? { node: 1 } : undefined),
      ranges: (id: StreamId, from: Offset) => (this.streams.get(id) ?? []).filter(({ to }) => to > from),
      rangeRows: (id: StreamId) => rangeRowsOf(this.streams.get(id) ?? [], this.objects),
      objectRows: objectRowsOf(this.objects),
    } as unknown as Image;
  }

  /** What would be made of what. */
  plan(excluded: ReadonlySet<string> = new Set(), change: Partial<PlanLimits> = {}): string[] {
    const own = { ...limits, ...change };
    const { image } = this;
    return this.planOver(() => image, own, excluded);
  }

  planOver(image: () => Image, own: PlanLimits = limits, excluded: ReadonlySet<string> = new Set()): string[] {
    const streams = [...this.streams.keys()].sort((a, b) => a - b);
    const steps = planMerges({ image, streams, limits: own, excluded });
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    return step.value.map(({ kind, parts }) => {
      const what = parts.map(({ stream, sources }) => `${stream}:${sources.map(({ object }) => object).join("")}`);
      return `${kind} ${what.join(" ")}`;
    });
  }
}

describe("a plan", () => {
  test("joins stream-set objects into one with a range a stream", () => {
    const held = new Held().upload("a", { 1: 5, 2: 5 }).upload("b", { 2: 5, 3: 5 }).upload("c", { 1: 9 });
    expect(held.plan()).toEqual(["stream-set 1:ac 2:ab 3:b"]);
  });

  test("leaves few of them alone", () => {
    expect(new Held().upload("a", { 1: 5, 2: 5 }).upload("b", { 1: 5, 2: 5 }).plan()).toEqual([]);
  });

  test("gives a stream with much in them an object of its own", () => {
    const held = new Held();
    for (const key of ["a", "b", "c"]) held.upload(key, { 1: 5, 2: 100, 3: 5 });
    expect(held.plan()).toEqual(["stream-set 1:abc 3:abc", "stream 2:abc"]);
  });

  test("leaves a stream among the others as long as it lies there in small pieces", () => {
    const held = new Held();
    for (const key of ["a", "b", "c"]) held.upload(key, { 1: 5, 2: 100, 3: 5 });
    expect(held.plan(new Set(), { mergePieceBytesMin: 101 })).toEqual(["stream-set 1:abc 2:abc 3:abc"]);
    expect(held.plan(new Set(), { mergePieceBytesMin: 100 })).toEqual(["stream-set 1:abc 3:abc", "stream 2:abc"]);
  });

  test("takes along what lies between, so that one range comes out", () => {
    const held = new Held().upload("a", { 1: 5, 2: 5 }).upload("b", { 1: 50 }, "stream").upload("c", { 1: 5, 2: 5 });
    held.upload("d", { 2: 9 });
    expect(held.plan()).toEqual(["stream-set 1:abc 2:acd"]);
  });

  test("does not rewrite streams that lie so scattered that nothing is won", () => {
    const held = new Held();
    for (const key of ["a", "b", "c"]) held.upload(key, { 1: 5 }).upload(`${key}!`, { 1: 999 }, "stream");
    expect(held.plan()).toEqual([]);
  });

  test("splits what is too much for one object", () => {
    const held = new Held();
    for (const key of ["a", "b", "c"]) held.upload(key, { 1: 1, 2: 1, 3: 1, 4: 1, 5: 1 });
    expect(held.plan(new Set(), { objectStreamsMax: 4 })).toEqual([]); // Two come out of three.
    held.upload("d", { 1: 3 });
    expect(held.plan(new Set(), { objectStreamsMax: 4 })).toEqual([
      "stream-set 1:abcd 2:abc 3:abc 4:abc",
      "stream 5:abc",
    ]);
  });

  test("joins the stream objects of a stream, and what lies in large stream-set objects once it is enough", () => {
    const held = new Held();
    for (const key of ["a", "b", "c"]) held.upload(key, { 1: 5 }, "stream");
    expect(held.plan()).toEqual(["stream 1:abc"]);
    const large = new Held();
    for (const key of ["a", "b", "c"]) large.upload(key, { 1: 99, 2: 901 });
    expect(large.plan()).toEqual([]);
    large.upload("d", { 1: 99, 2: 901 });
    expect(large.plan()).toEqual(["stream 1:abcd"]);
  });

  test("empties a large stream-set object of which little is left", () => {
    const held = new Held();
    for (const key of ["a", "b", "c"]) held.upload(key, { 1: 9, 2: 901 });
    held.streams.delete(2 as StreamId);
    expect(held.plan()).toEqual(["stream 1:abc"]);
  });

  test("keeps to the budget of a cycle, but always does one merge of a stream", () => {
    const held = new Held();
    for (const key of ["a", "b", "c"])
      held.upload(`${key}1`, { 1: 50 }, "stream").upload(`${key}2`, { 2: 50 }, "stream");
    expect(held.plan()).toHaveLength(2);
    expect(held.plan(new Set(), { mergeCycleBytesMax: 299 })).toEqual(["stream 1:a1b1c1"]);
    expect(held.plan(new Set(), { mergeCycleRangesMax: 1 })).toEqual(["stream 1:a1b1c1"]);
  });

  test("comes to the larger objects when thousands of small ones are too far apart to be joined", () => {
    const held = new Held();
    for (let i = 0; i < 3000; i += 1) held.upload(`s${i}`, { 1: 1 });
    for (const [i, range] of (held.streams.get(1 as StreamId) ?? []).entries())
      Object.assign(range, { maxTimestamp: i * 1000 });
    for (const key of ["a", "b", "c"]) held.upload(key, { 2: 50 });
    expect(held.plan()).toEqual(["stream-set 1:s2999 2:abc"]); // Of unknown age, so that the newest goes with them.
  });

  test("does not take one object for another that has its row since", () => {
    const held = new Held().upload("a", { 1: 400 }).upload("b", { 1: 5 }).upload("c", { 1: 5 }).upload("d", { 2: 5 });
    const { image } = held;
    let steps = 0;
    const plan = held.planOver(() => {
      steps += 1;
      if (steps === 3) {
        // Between the looks at the two streams.
        held.streams.get(1 as StreamId)?.shift();
        const [, ...others] = [...held.objects];
        held.objects.clear();
        held.objects.set("x", { key: "x", bytes: 5, kind: "stream-set", node: 1 as NodeId, committedAt: 9 as Seq });
        for (const [key, entry] of others) held.objects.set(key, entry);
        const range = { stream: 2 as StreamId, epoch: 1, from: 10 as Offset, to: 20 as Offset, bytes: 5 };
        held.streams.get(2 as StreamId)?.push({ ...range, maxTimestamp: -1, object: "x" });
      }
      return image;
    });
    expect(plan).toEqual(held.plan());
    expect(plan).toEqual(["stream-set 1:bc 2:dx"]);
  });

  test("is given up when another image comes, from a checkpoint", () => {
    const held = new Held();
    for (const key of ["a", "b", "c"]) held.upload(key, { 1: 5, 2: 5 });
    const images = [held.image, held.image];
    expect(held.planOver(() => images.shift() ?? held.image)).toEqual([]);
  });

  test("leaves out what cannot be read", () => {
    const held = new Held();
    for (const key of ["a", "b", "c", "d", "e", "f", "g"]) held.upload(key, { 1: 5 }, "stream");
    expect(held.plan(new Set(["d"]))).toEqual(["stream 1:abc", "stream 1:efg"]);
  });
});

describe("the event", () => {
  const held = new Held();
  for (const key of ["a", "b", "c"]) held.upload(key, { 1: 5, 2: 5 });
  const range = (id: number, first: number, end: number) => {
    const sources = (held.streams.get(id as StreamId) as CommittedRange[]).slice(first, end);
    const { from } = sources[0] as CommittedRange;
    const { to } = sources.at(-1) as CommittedRange;
    return { stream: id as StreamId, from, to, bytes: 9, maxTimestamp: -1, sources };
  };
  const node = 1 as NodeId;

  test("names what is replaced, stream by stream", () => {
    const merged = { key: "m", bytes: 99, kind: "stream-set", ranges: [range(1, 0, 3), range(2, 1, 2)] } as const;
    expect(replaceEvent(merged, held.image, node)).toEqual({
      kind: "replace-ranges",
      object: "m",
      bytes: 99,
      objectKind: "stream-set",
      ranges: [
        { stream: 1, from: 0, to: 30, bytes: 9, maxTimestamp: -1, replaces: ["a", "b", "c"] },
        { stream: 2, from: 10, to: 20, bytes: 9, maxTimestamp: -1, replaces: ["b"] },
      ],
    });
  });

  test("leaves out streams that are not as they were, or another's", () => {
    const merged = { key: "m", bytes: 99, kind: "stream-set", ranges: [range(1, 0, 2), range(2, 0, 2)] } as const;
    held.streams.get(1 as StreamId)?.shift(); // Trimmed.
    expect(replaceEvent(merged, held.image, node)?.ranges.map(({ stream }) => stream)).toEqual([2]);
    held.streams.delete(2 as StreamId);
    expect(replaceEvent(merged, held.image, node)).toBeUndefined();
    expect(replaceEvent(merged, new Held().image, node)).toBeUndefined();
    expect(replaceEvent({ ...merged, ranges: [range(1, 0, 2)] }, held.image, 2 as NodeId)).toBeUndefined();
  });
});

/**
 * Proves: what is proposed is decided once and told truly, whatever answers get lost; all nodes see the same image; a node
 * that was replaced, or whose store lost its end, stops.
 */
import { describe, expect, test } from "vitest";
import { CorruptData, OperationFailed } from "../../src/base/errors.ts";
import type { NodeId, Offset, Seq, StreamId } from "../../src/base/ids.ts";
import type { Logger } from "../../src/base/telemetry.ts";
import type { CasLog } from "../../src/metadata/cas-log.ts";
import { Fenced, type MetadataClient, type Proposal } from "../../src/metadata/client.ts";
import type { MetadataEvent } from "../../src/metadata/events.ts";
import { openFileLog } from "../../src/metadata/file-log.ts";
import type { ImageState } from "../../src/metadata/image-state.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { type MetadataLimits, type MetadataOptions, openMetadata } from "../../src/metadata/metadata-client.ts";
import { calmLog, FaultyCasLog, stormyLog } from "../sim/cas-log.ts";
import { SimClock } from "../sim/clock.ts";
import { SimDisk } from "../sim/disk.ts";
import { SimRandom } from "../sim/random.ts";
import { uuidOf } from "./contract/world.ts";
import { imageBytes } from "./generate.ts";

const limits: MetadataLimits = {
  pollMs: 100,
  readEntriesMax: 5,
  batchProposalsMax: 8,
  batchBytesMax: 10_000,
  proposalsWaitingMax: 100,
  checkpointEntries: 1_000_000,
  retry: { delayMsMin: 10, delayMsMax: 500 },
};

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

class World {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly failures: unknown[] = [];
  #opened = 0;

  constructor(seed: number | string) {
    this.random = new SimRandom(seed);
  }

  faulty(inner: CasLog, faults = calmLog): FaultyCasLog {
    return new FaultyCasLog(inner, { clock: this.clock, random: this.random.fork("log"), faults });
  }

  open(
    log: CasLog,
    node: number,
    change: Partial<MetadataLimits> = {},
    more: Pick<MetadataOptions, "stopping"> = {},
  ): Promise<MetadataClient> {
    this.#opened += 1;
    return openMetadata({
      ...more,
      log,
      nodeId: node as NodeId,
      node: { host: "127.0.0.1", port: 9092, rack: null },
      runtime: { clock: this.clock, random: this.random.fork(`client ${this.#opened}`) },
      logger: silent,
      limits: { ...limits, ...change },
      failed: (cause) => this.failures.push(cause),
    });
  }

  until<T>(work: Promise<T>): Promise<T> {
    return this.clock.until(work);
  }
}

function createTopic(number: number): MetadataEvent {
  return { kind: "create-topic", topicId: uuidOf(number), name: `t${number}`, partitions: 1, configs: new Map() };
}

const bytesOf = (client: MetadataClient): Buffer => imageBytes(client.image as ImageState);

function namesIn(client: MetadataClient): readonly string[] {
  return [...client.image.topics()].map(({ name }) => name).toSorted();
}

async function settled(proposals: readonly Promise<Proposal>[]): Promise<readonly string[]> {
  const outcomes = await Promise.allSettled(proposals);
  return outcomes.map((outcome) =>
    outcome.status === "rejected"
      ? "rejected"
      : outcome.value.kind === "accepted"
        ? "ok"
        : outcome.value.refusal.reason,
  );
}

describe("metadata client", () => {
  test("a node registers, proposes, and sees its proposals in the image when they are answered", async () => {
    const w = new World(1);
    const client = await w.until(w.open(new MemoryLog(), 1));
    expect(client.nodeEpoch).toBe(1);
    const seen: [string, Seq][] = [];
    client.onChange((events, seq) => seen.push(...events.map(({ kind }): [string, Seq] => [kind, seq])));
    const outcomes = await w.until(
      Promise.all([createTopic(1), createTopic(1)].map((event) => client.propose([event]))),
    );
    expect(outcomes).toMatchObject([{ kind: "accepted" }, { kind: "refused", refusal: { reason: "exists" } }]);
    expect(client.image.topicByName("t1")?.id).toBe(uuidOf(1));
    expect(seen).toEqual([["create-topic", 2]]);
    await w.until(client[Symbol.asyncDispose]() as Promise<void>);
    await expect(client.propose([createTopic(2)])).rejects.toThrow("closed");
    expect(w.failures).toEqual([]);
  });

  test("a node that stops waits for a log that is away, but not for ever", async () => {
    const w = new World(1);
    const memory = new MemoryLog();
    let isAway = false;
    const log: CasLog = {
      append: (entry) =>
        isAway ? Promise.reject(new OperationFailed("away", { happened: "no" })) : memory.append(entry),
      read: (from, entriesMax) => memory.read(from, entriesMax),
      readCheckpoint: () => memory.readCheckpoint(),
      writeCheckpoint: (checkpoint) => memory.writeCheckpoint(checkpoint),
      [Symbol.asyncDispose]: async () => undefined,
    };
    const stop = new AbortController();
    const stopping = { signal: stop.signal, outageMsMax: 1000 };
    const client = await w.until(w.open(log, 1, {}, { stopping }));
    isAway = true;
    const first = settled([client.propose([createTopic(1)])]);
    await w.clock.run(5000);
    isAway = false;
    stop.abort();
    expect(await w.until(first)).toEqual(["ok"]);
    isAway = true;
    const began = w.clock.monotonic();
    const proposed = [2, 3].map((number) => client.propose([createTopic(number)]));
    expect(await w.until(settled(proposed))).toEqual(["rejected", "rejected"]);
    expect(w.clock.monotonic() - began).toBeGreaterThanOrEqual(1000);
    expect(w.clock.monotonic() - began).toBeLessThan(2000);
    await w.until(client[Symbol.asyncDispose]() as Promise<void>);
    expect(w.failures).toEqual([]);
  });

  test("what waits is put into one entry; rounds of one table and blocks of producer ids get entries of their own", async () => {
    const w = new World(1);
    const log = w.faulty(new MemoryLog());
    const client = await w.until(w.open(log, 1));
    const before = log.appends;
    const first = client.propose([createTopic(0)]);
    const waiting = [1, 2, 3].map((number) => client.propose([createTopic(number)]));
    const ids = [1, 2].map(() => client.propose([{ kind: "allocate-producer-ids", count: 10 }]));
    expect(await w.until(settled([first, ...waiting, ...ids]))).toEqual(["ok", "ok", "ok", "ok", "ok", "ok"]);
    expect(log.appends - before).toBe(3); // The first alone, then the rest, then the second block.
    expect(client.image.nextProducerId).toBe(20);
  });

  test("a proposal that comes as the one before is being answered, at whatever moment, is decided too", async () => {
    const world = new World(5);
    const log = new MemoryLog();
    const append = log.append.bind(log);
    let appended = (): void => undefined;
    log.append = async (entry) => {
      const outcome = await append(entry);
      appended();
      return outcome;
    };
    const client = await world.until(world.open(log, 1));
    for (let moments = 0; moments < 60; moments += 1) {
      const second = new Promise<Proposal>((resolve, reject) => {
        appended = () => {
          appended = () => undefined;
          void (async () => {
            for (let moment = 0; moment < moments; moment += 1) await Promise.resolve();
            client.propose([createTopic(2 * moments + 1)]).then(resolve, reject);
          })();
        };
      });
      await world.until(client.propose([createTopic(2 * moments)]));
      expect(await world.until(second), `${moments} moments later`).toMatchObject({ kind: "accepted" });
    }
    await world.until(Promise.resolve(client[Symbol.asyncDispose]()));
  });

  test("of too many waiting proposals the last are refused at once, and nothing happened", async () => {
    const w = new World(1);
    const client = await w.until(w.open(w.faulty(new MemoryLog()), 1, { proposalsWaitingMax: 3 }));
    const proposals = Array.from({ length: 6 }, (_, i) => client.propose([createTopic(i)]));
    expect(await w.until(settled(proposals))).toEqual(["ok", "ok", "ok", "ok", "rejected", "rejected"]);
  });

  test("what a node must bring through to go on is not refused for what its clients ask of it", async () => {
    const w = new World(1);
    const client = await w.until(w.open(new MemoryLog(), 1, { proposalsWaitingMax: 2, batchProposalsMax: 1 }));
    await w.until(client.propose([createTopic(0)]));
    const asked = settled([1, 2, 3, 4].map((number) => client.propose([createTopic(number)])));
    const [stream] = [...client.image.streams()].map(({ id }) => id);
    const own = client.propose([{ kind: "open-streams", streams: [stream as StreamId] }]);
    const range = {
      stream: stream as StreamId,
      epoch: 1,
      from: 0 as Offset,
      to: 5 as Offset,
      bytes: 9,
      maxTimestamp: 1,
    };
    const object = { object: "o", bytes: 10, objectKind: "stream", ranges: [range] } as const;
    const commit = client.propose([{ kind: "commit-object", ...object }]);
    const outcomes = await w.until(settled([own, commit]));
    expect(outcomes).toEqual(["ok", "ok"]);
    expect(await w.until(asked)).toContain("rejected");
    await w.until(client[Symbol.asyncDispose]() as Promise<void>);
  });

  test("the answer to any one append may be lost: nothing is done twice, nothing is told wrongly", async () => {
    for (let k = 1; k <= 20; k++) {
      const w = new World(k);
      const store = new MemoryLog();
      const log = w.faulty(store);
      log.unheardAt = k;
      const client = await w.until(w.open(log, 1, { batchProposalsMax: 1 }));
      const proposals = Array.from({ length: 19 }, (_, i) => client.propose([createTopic(i)]));
      expect(await w.until(settled(proposals)), `k ${k}`).toEqual(Array.from({ length: 19 }, () => "ok"));
      expect(client.image.seq, `k ${k}`).toBe(20);
    }
  });

  test("many nodes in a storm with ghosts: each decision is told as it stands in the one log, and all images agree", async () => {
    let ghosts = 0;
    for (let seed = 0; seed < 40; seed++) {
      const w = new World(seed);
      const store = new MemoryLog();
      const logs = [1, 2, 3].map(() => w.faulty(store));
      const clients = await w.until(
        Promise.all(
          logs.map((log, index) => w.open(log, index + 1, { checkpointEntries: 15, readEntriesMax: 1 + (seed % 5) })),
        ),
      );
      for (const log of logs) log.faults = stormyLog;
      const told = await w.until(
        Promise.all(
          clients.map(async (client, index) => {
            const own: [string, string][] = [];
            for (let i = 0; i < 12; i++) {
              const number = w.random.below(30); // The nodes run for the same names.
              const outcome = await client.propose([
                { ...createTopic(100 * index + number + 1000), name: `t${number}` } as MetadataEvent,
              ]);
              own.push([`${index} t${number}`, outcome.kind === "accepted" ? "ok" : outcome.refusal.reason]);
            }
            return own;
          }),
        ),
      );
      for (const log of logs) log.faults = calmLog;
      await w.clock.run(60_000); // Ghosts have landed, everybody has polled.
      const accepted = told
        .flat()
        .filter(([, outcome]) => outcome === "ok")
        .map(([what]) => what.split(" ")[1] as string);
      expect(accepted.toSorted(), `seed ${seed}`).toEqual(namesIn(clients[0] as MetadataClient));
      expect(new Set(told.flat().map(([, outcome]) => outcome)).size, `seed ${seed}`).toBe(2); // "ok" and "exists".
      for (const client of clients)
        expect(bytesOf(client).equals(bytesOf(clients[0] as MetadataClient)), `seed ${seed}`).toBe(true);
      expect(w.failures, `seed ${seed}`).toEqual([]);
      ghosts += logs.reduce((sum, log) => sum + (log.struck.get("ghost") ?? 0), 0);
    }
    expect(ghosts).toBeGreaterThan(50);
  });

  test("a node that starts later begins at the checkpoint and sees the same", async () => {
    const w = new World(1);
    const store = new MemoryLog();
    const first = await w.until(w.open(w.faulty(store), 1, { checkpointEntries: 4 }));
    for (let i = 0; i < 30; i++) await w.until(first.propose([createTopic(i)]));
    await w.clock.run(1_000);
    expect((await store.readCheckpoint())?.seq).toBeGreaterThan(20);
    const second = await w.until(w.open(w.faulty(store), 2));
    await w.clock.run(1_000);
    expect(bytesOf(second).equals(bytesOf(first))).toBe(true);
    expect(second.nodeEpoch).toBe(32);
  });

  test("a node that was away until its entries were forgotten goes on from the checkpoint, and is told of the change", async () => {
    const w = new World(1);
    const store = new MemoryLog();
    const away = await w.until(w.open(w.faulty(store), 1, { pollMs: 1_000_000 }));
    const told: number[] = [];
    away.onChange((events) => told.push(events.length));
    const busy = await w.until(w.open(w.faulty(store), 2, { checkpointEntries: 5 }));
    for (let i = 0; i < 40; i++) await w.until(busy.propose([createTopic(i)]));
    await w.clock.run(1_000);
    expect(await w.until(away.propose([createTopic(99)]))).toMatchObject({ kind: "accepted" });
    await w.clock.run(1_000);
    expect(told).toContain(0);
    expect(bytesOf(away).equals(bytesOf(busy))).toBe(true);
  });

  test("a second process under the same id fences the first, which finds out by itself and when it proposes", async () => {
    const w = new World(1);
    const store = new MemoryLog();
    const zombie = await w.until(w.open(w.faulty(store), 1));
    const idle = await w.until(w.open(w.faulty(store), 2));
    const successor = await w.until(w.open(w.faulty(store), 1, { pollMs: 1_000_000 }));
    const proposal = zombie.propose([createTopic(1)]);
    await expect(w.until(proposal)).rejects.toThrow(Fenced);
    expect(successor.image.topicByName("t1")).toBeUndefined();
    await expect(zombie.propose([createTopic(1)])).rejects.toThrow(Fenced);
    expect(w.failures).toHaveLength(1);
    await w.until(w.open(w.faulty(store), 2));
    await w.clock.run(500);
    expect(w.failures).toHaveLength(2);
    expect(w.failures[1]).toBeInstanceOf(Fenced);
    await expect(idle.propose([createTopic(1)])).rejects.toThrow(Fenced);
  });

  test("a store that was restored from a backup halts whoever knew more, idle or not", async () => {
    for (const grows of [false, true]) {
      const w = new World(1);
      let store = new MemoryLog();
      const switchable: CasLog = {
        append: (entry) => store.append(entry),
        read: (from, entriesMax) => store.read(from, entriesMax),
        readCheckpoint: () => store.readCheckpoint(),
        writeCheckpoint: (checkpoint) => store.writeCheckpoint(checkpoint),
        [Symbol.asyncDispose]: async () => {},
      };
      const client = await w.until(w.open(w.faulty(switchable), 1));
      await w.until(client.propose([createTopic(1)]));
      const backup = store.copy();
      await w.until(client.propose([createTopic(2)]));
      store = backup;
      if (grows) await w.until(w.open(w.faulty(switchable), 2)); // The lost seq is taken by another.
      await w.clock.run(500);
      expect(w.failures[0], `grows ${grows}`).toBeInstanceOf(CorruptData);
      await expect(client.propose([createTopic(3)])).rejects.toThrow(CorruptData);
    }
  });

  test("an outage is waited out; closing in it leaves the doubt with the proposer", async () => {
    const w = new World(1);
    const log = w.faulty(new MemoryLog());
    const client = await w.until(w.open(log, 1));
    log.faults = { ...calmLog, lost: 1, readFails: 1 };
    const first = client.propose([createTopic(1)]);
    await w.clock.run(60_000);
    log.faults = calmLog;
    expect(await w.until(first)).toMatchObject({ kind: "accepted" });
    log.faults = { ...calmLog, lost: 1 };
    const [sent, waiting] = [client.propose([createTopic(2)]), client.propose([createTopic(3)])];
    const outcomes = Promise.allSettled([sent, waiting]);
    await w.clock.run(1_000);
    await w.until(client[Symbol.asyncDispose]() as Promise<void>);
    const [ofSent, ofWaiting] = await w.until(outcomes);
    expect(ofSent).toMatchObject({ status: "rejected", reason: { happened: "maybe" } });
    expect(ofWaiting).toMatchObject({ status: "rejected", reason: { happened: "no" } });
    expect(w.failures).toEqual([]);
  });

  test("on one node's files: over crashes every answered proposal is in the image, and the epoch grows", async () => {
    for (let seed = 0; seed < 60; seed++) {
      const w = new World(seed);
      const disk = new SimDisk({ clock: w.clock, random: w.random.fork("disk") });
      const openLog = (): Promise<CasLog> => openFileLog({ directory: "/meta", disk, segmentBytesMax: 3000 });
      const answered = new Set<string>();
      let next = 0;
      let epoch = 0;
      for (let life = 0; life < 4; life++) {
        let failure: unknown;
        const live = async (): Promise<void> => {
          const client = await w.open(await openLog(), 1, { checkpointEntries: 7 });
          expect(client.nodeEpoch).toBeGreaterThan(epoch);
          epoch = client.nodeEpoch;
          for (const name of answered) expect(client.image.topicByName(name), name).toBeDefined();
          for (;;) {
            const number = next++;
            const outcome = await client.propose([createTopic(number)]);
            expect(outcome.kind).toBe("accepted");
            answered.add(`t${number}`);
          }
        };
        live().catch((cause: unknown) => {
          failure = cause;
        });
        await w.clock.run(w.random.between(10, 100));
        if (w.random.chance(0.7)) disk.crash();
        else disk.processDies();
        if (failure !== undefined) throw new Error(`seed ${seed}, life ${life}`, { cause: failure });
      }
      expect(answered.size, `seed ${seed}`).toBeGreaterThan(3);
    }
  });

  test("two runs of one seed are the same run", async () => {
    const traceOf = async (seed: number): Promise<string> => {
      const w = new World(seed);
      const log = w.faulty(new MemoryLog());
      const clients = await w.until(Promise.all([w.open(log, 1), w.open(log, 2)]));
      log.faults = stormyLog;
      await w.until(
        Promise.all(clients.flatMap((client, c) => [1, 2, 3].map((i) => client.propose([createTopic(10 * c + i)])))),
      );
      return w.clock.traceHash();
    };
    for (let seed = 0; seed < 5; seed++) expect(await traceOf(seed)).toBe(await traceOf(seed));
    expect(await traceOf(1)).not.toBe(await traceOf(2));
  });
});

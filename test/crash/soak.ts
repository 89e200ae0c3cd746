/**
 * A broker under steady load for as long as one likes: producers at a fixed rate, readers at the end and one of the past;
 * retention, cleaning, merges and the removal of garbage every few seconds. In the first half it is stopped and killed by
 * turns; the second half is one life, by which memory is judged. At the end it is killed once more, all that retention kept
 * is read, and each record compared.
 *
 *   node test/crash/soak.ts [--minutes 60] [--rate-mb 20] [--wal file|object|replicated] [--store directory|s3] [--seed N]
 *                           [--samples FILE]
 */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pause } from "../jepsen/pause.ts";
import { type InletBroker, startInlet } from "../support/inlet-process.ts";
import { freePort } from "../support/processes.ts";
import { RawClient } from "../support/raw-client.ts";
import { seededRandom } from "../support/seeded.ts";
import { ended } from "./kill-cycles.ts";
import { logStart, OutOfRange, SoakProducer, SoakReader } from "./soak-clients.ts";
import { type MemorySample, type Slope, slopeOf } from "./soak-figures.ts";
import {
  brokerConfig,
  bucketBytesMax,
  laneBytesPerSecond,
  lanesOf,
  lostToRetention,
  topicConfigs,
  topics,
} from "./soak-plan.ts";
import type { Lane } from "./soak-records.ts";
import { memoryOf, openStore, type Store } from "./soak-world.ts";

/** Of the last life, from where it has grown to its size: what grows by more than this in an hour is a leak. */
const mibPerHourMax = 30;
/** A slope within so many standard errors of the bound is not told from it. */
const slopeErrors = 2;
/** What a process takes until it has its size is no slope. */
const growMs = 120_000;
const residentBytesMax = 1024 * 1024 * 1024;
/** Less than this of the rate, and the run did not show what it should. */
const rateShareMin = 0.9;
const sampleMs = 5_000;
const lifeMsWanted = 180_000;
/** After the end of the load, until everything is read and garbage is gone. */
const catchUpMsMax = 60_000;

interface Options {
  readonly minutes: number;
  readonly mbPerSecond: number;
  readonly wal: string;
  readonly store: "directory" | "s3";
  readonly seed: number;
  readonly samples: string | undefined;
}

interface Life {
  readonly startedMs: number;
  endedMs: number;
  readonly samples: MemorySample[];
  cpuSeconds: number;
  end: string;
}

class Soak {
  readonly #options: Options;
  readonly #directory = mkdtempSync(join(tmpdir(), "inlet-soak-"));
  readonly #lanes = new Map(topics.map((topic) => [topic, lanesOf(topic)]));
  readonly #stop = new AbortController();
  readonly violations: string[] = [];
  readonly lives: Life[] = [];
  peakBytes = 0;
  bucketBytes = 0;
  bucketBytesPeak = 0;
  stopMsMax = 0;
  pastRecords = 0;
  tailRecords = 0;
  #port = 0;
  #broker: InletBroker | undefined;
  #isExpectedToRun = false;
  readonly #startedMs = performance.now();

  constructor(options: Options) {
    this.#options = options;
  }

  get all(): readonly Lane[] {
    return [...this.#lanes.values()].flat();
  }

  async run(): Promise<object> {
    const { minutes, mbPerSecond, seed, store: kind } = this.#options;
    this.#port = await freePort();
    await using store = await openStore(kind, this.#directory);
    try {
      await this.#start(store);
      await this.#createTopics();
      const producers = [0, 1].map((half) => new SoakProducer(this.#port, this.#halfOf(half, mbPerSecond)));
      const producing = producers.map((producer) => this.#watched("producer", () => producer.run(this.#stop.signal)));
      const tails = [0, 1].map(
        (half) =>
          new SoakReader(
            this.#port,
            this.#halfOf(half, 0).map(({ lane }) => lane),
          ),
      );
      const reading = new AbortController();
      const readers = [
        ...tails.map((tail) => this.#watched("tail reader", () => this.#readTail(tail, reading.signal))),
        this.#watched("reader of the past", () => this.#readPast(reading.signal)),
        this.#watched("sampler", () => this.#sample(store, producers, reading.signal)),
      ];
      await this.#live(store, minutes * 60_000, seededRandom(seed));
      this.#stop.abort();
      await Promise.all(producing);
      const loadMs = performance.now() - this.#startedMs;
      await this.#caughtUp(tails);
      reading.abort();
      await Promise.all(readers);
      this.tailRecords = tails.reduce((sum, tail) => sum + tail.records, 0);
      await this.#end("SIGKILL");
      await this.#start(store);
      const retained = await this.#readRetained();
      await pause(this.#isStopped ? 0 : settleMs);
      const bucketBytesEnd = await store.bytes();
      await this.#end("SIGTERM");
      return this.#report(producers, loadMs, retained, bucketBytesEnd);
    } finally {
      this.#isExpectedToRun = false;
      await this.#broker?.[Symbol.asyncDispose]();
      rmSync(this.#directory, { recursive: true, force: true });
    }
  }

  get #isStopped(): boolean {
    return this.violations.length > 0;
  }

  /** Every second lane of each topic. */
  #halfOf(half: number, mbPerSecond: number) {
    return [...this.#lanes].flatMap(([topic, lanes]) => {
      const bytesPerSecond = laneBytesPerSecond(topic, mbPerSecond);
      return lanes.filter(({ partition }) => partition % 2 === half).map((lane) => ({ lane, bytesPerSecond }));
    });
  }

  async #start(store: Store): Promise<void> {
    const object = { store: { url: store.url } };
    const config = { ...brokerConfig(this.#options.wal), object };
    this.#broker = await startInlet({ directory: this.#directory, kafkaPort: this.#port, config, name: "soak" });
    this.#isExpectedToRun = true;
    const { child } = this.#broker.running;
    child.once("exit", (code, signal) => {
      if (this.#isExpectedToRun && child === this.#broker?.running.child)
        this.violations.push(`the broker ended by itself: ${code ?? signal}`);
    });
    this.lives.push({ startedMs: performance.now(), endedMs: Infinity, samples: [], cpuSeconds: 0, end: "" });
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const broker = this.#broker as InletBroker;
    this.#isExpectedToRun = false;
    const { code, ms } = await ended(broker, signal);
    await broker[Symbol.asyncDispose]();
    if (signal === "SIGTERM" && code !== 0) this.violations.push(`SIGTERM ended the broker with ${code}`);
    if (signal === "SIGTERM") this.stopMsMax = Math.max(this.stopMsMax, ms);
    const life = this.lives.at(-1) as Life;
    life.endedMs = performance.now();
    life.end = signal;
  }

  async #createTopics(): Promise<void> {
    await using admin = await RawClient.open({ host: "127.0.0.1", port: this.#port });
    const wanted = topics.map((topic) => {
      const { name, partitions: numPartitions } = topic;
      return { name, numPartitions, replicationFactor: 1, assignments: [], configs: topicConfigs(topic) };
    });
    const answer = await admin.call("createTopics", 4, { topics: wanted, timeoutMs: 5000, validateOnly: false });
    const refused = answer.topics.filter(({ errorCode }) => errorCode !== 0);
    if (refused.length > 0) throw new Error(`the topics cannot be created: ${JSON.stringify(refused)}`);
  }

  /** Lives of some minutes in the first half, then one. */
  async #live(store: Store, totalMs: number, random: ReturnType<typeof seededRandom>): Promise<void> {
    const restarts = Math.max(2, Math.round(totalMs / 2 / lifeMsWanted));
    for (let restart = 0; restart < restarts && !this.#isStopped; restart += 1) {
      await this.#wait((totalMs / 2 / restarts) * (0.8 + 0.4 * random.unit()));
      await this.#end(restart % 2 === 0 ? "SIGTERM" : "SIGKILL");
      await this.#start(store);
    }
    await this.#wait(totalMs - (performance.now() - this.#startedMs));
  }

  /** Shorter when the promise is broken: then there is nothing left to show. */
  async #wait(ms: number): Promise<void> {
    for (const until = performance.now() + ms; performance.now() < until && !this.#isStopped; ) await pause(500);
  }

  async #watched(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      this.violations.push(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`);
      this.#stop.abort();
    }
  }

  async #readTail(reader: SoakReader, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) await reader.step();
    await reader[Symbol.asyncDispose]();
  }

  /** One partition after another from its beginning to what was its end, not faster than the load. */
  async #readPast(signal: AbortSignal): Promise<void> {
    const random = seededRandom(this.#options.seed + 1);
    while (!signal.aborted) {
      const lane = this.all[Math.floor(random.unit() * this.all.length)] as Lane;
      const end = lane.acked;
      const start = await logStart(this.#port, lane);
      const lost = lostToRetention(lane, start, Date.now());
      if (lost !== undefined) throw new Error(lost);
      await using reader = new SoakReader(this.#port, [lane], () => start);
      try {
        for (const beganMs = performance.now(); reader.place(lane) < end && !signal.aborted; ) {
          await reader.step();
          const dueMs = beganMs + reader.bytes / (this.#options.mbPerSecond * 1000);
          await pause(Math.max(0, dueMs - performance.now()));
        }
      } catch (cause) {
        if (!(cause instanceof OutOfRange)) throw cause; // Retention has overtaken it.
      }
      this.pastRecords += reader.records;
      await pause(200);
    }
  }

  async #sample(store: Store, producers: readonly SoakProducer[], signal: AbortSignal): Promise<void> {
    const { samples } = this.#options;
    if (samples !== undefined)
      writeFileSync(samples, "seconds,life,resident_mib,heap_mib,external_mib,bucket_mib,sent_mb\n");
    for (let count = 1; !signal.aborted; count += 1) {
      await pause(sampleMs);
      const life = this.lives.at(-1) as Life;
      const memory = this.#isExpectedToRun ? await memoryOf(this.#broker as InletBroker) : undefined;
      this.bucketBytes = await store.bytes();
      this.bucketBytesPeak = Math.max(this.bucketBytesPeak, this.bucketBytes);
      if (memory === undefined || life.end !== "") continue;
      life.cpuSeconds = memory.cpuSeconds;
      life.samples.push({ atMs: performance.now(), residentBytes: memory.residentBytes });
      this.peakBytes = Math.max(this.peakBytes, memory.peakBytes);
      const seconds = Math.round((performance.now() - this.#startedMs) / 1000);
      const sent = producers.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
      const mib = [memory.residentBytes, memory.heapUsedBytes, memory.externalBytes, this.bucketBytes].map(inMib);
      if (samples !== undefined)
        appendFileSync(samples, `${[seconds, this.lives.length, ...mib, Math.round(sent / 1e6)].join()}\n`);
      if (count % 6 === 0)
        console.log(
          `${(seconds / 60).toFixed(1)} min, life ${this.lives.length}, resident ${mib[0]} MiB (heap ${mib[1]}, external ` +
            `${mib[2]}), bucket ${mib[3]} MiB, ${(sent / 1e6 / seconds).toFixed(1)} MB/s`,
        );
    }
  }

  async #caughtUp(tails: readonly SoakReader[]): Promise<void> {
    const lag = (): number =>
      [0, 1].reduce((sum, half) => {
        const lanes = this.#halfOf(half, 0).map(({ lane }) => lane);
        return sum + lanes.reduce((each, lane) => each + lane.acked - (tails[half] as SoakReader).place(lane), 0);
      }, 0);
    for (const untilMs = performance.now() + catchUpMsMax; lag() > 0 && !this.#isStopped; await pause(100))
      if (performance.now() > untilMs)
        return void this.violations.push(`tail readers lack ${lag()} records that were acked`);
  }

  /** Each partition from its beginning to what was acked last; of compacted ones the last of each key must be there. */
  async #readRetained(): Promise<number> {
    let records = 0;
    for (const lane of this.#isStopped ? [] : this.all)
      await this.#watched("final reader", async () => {
        records += await this.#readLane(lane);
      });
    return records;
  }

  async #readLane(lane: Lane): Promise<number> {
    const start = await logStart(this.#port, lane);
    const lost = lostToRetention(lane, start, Date.now());
    if (lost !== undefined) throw new Error(lost);
    await using reader = new SoakReader(this.#port, [lane], () => start);
    let newest = 0;
    try {
      while (reader.place(lane) < lane.acked)
        await reader.step((_, sequence) => {
          if (sequence >= lane.acked - lane.keys) newest += 1;
        });
    } catch (cause) {
      if (cause instanceof OutOfRange) return await this.#readLane(lane); // Retention goes on.
      throw cause;
    }
    if (lane.keys > 0 && newest !== Math.min(lane.keys, lane.acked))
      throw new Error(`${lane.topic}/${lane.partition}: ${newest} of ${lane.keys} keys have their last record`);
    return reader.records;
  }

  #report(producers: readonly SoakProducer[], loadMs: number, retained: number, bucketBytesEnd: number): object {
    const { mbPerSecond } = this.#options;
    const acked = this.all.reduce((sum, lane) => sum + lane.acked, 0);
    const sent = producers.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
    const achieved = sent / 1e6 / (loadMs / 1000);
    const bound = bucketBytesMax(mbPerSecond);
    const steadyLife = this.lives.at(-2) as Life; // The last one only reads.
    const steady = slopeOf(steadyLife.samples.filter(({ atMs }) => atMs > steadyLife.startedMs + growMs));
    const grows = steady !== undefined && steady.mibPerHour - slopeErrors * steady.error > mibPerHourMax;
    if (grows) this.violations.push(`memory grows by ${said(steady)}, bound ${mibPerHourMax}`);
    if (this.peakBytes > residentBytesMax) this.violations.push(`memory peaks at ${inMib(this.peakBytes)} MiB`);
    if (this.bucketBytesPeak > bound) this.violations.push(`the bucket held ${inMib(this.bucketBytesPeak)} MiB`);
    if (achieved < rateShareMin * mbPerSecond) this.violations.push(`only ${achieved.toFixed(1)} MB/s were sent`);
    for (const what of ["acked", "read at the end", "read of the past"] as const)
      if ({ acked, "read at the end": retained, "read of the past": this.pastRecords }[what] === 0)
        this.violations.push(`nothing was ${what}`);
    const ms = (share: number) => producers.map(({ times }) => Number(times.quantile(share).toFixed(1)));
    return {
      minutes: Number((loadMs / 60_000).toFixed(1)),
      mbPerSecond: Number(achieved.toFixed(1)),
      acked,
      tailRecords: this.tailRecords,
      pastRecords: this.pastRecords,
      retainedRead: retained,
      lives: this.lives.map(
        ({ samples, end, cpuSeconds }) => `${said(slopeOf(samples))}, ${Math.round(cpuSeconds)} s of processor, ${end}`,
      ),
      steadySlope: said(steady),
      residentMibAtEnd: inMib(steadyLife.samples.at(-1)?.residentBytes ?? 0),
      residentMibPeak: inMib(this.peakBytes),
      bucketMib: { peak: inMib(this.bucketBytesPeak), end: inMib(bucketBytesEnd), bound: inMib(bound) },
      produceMs: {
        p50: ms(0.5),
        p99: ms(0.99),
        p999: ms(0.999),
        outage: producers.map((one) => Math.round(one.outageMsMax)),
      },
      stopMsMax: Math.round(this.stopMsMax),
      violations: this.violations,
    };
  }
}

/** So long after the end merges, cleaning and the removal of garbage have come round. */
const settleMs = 30_000;

function said(slope: Slope | undefined): string {
  if (slope === undefined) return "too short";
  const { mibPerHour, error, minutes } = slope;
  return `${mibPerHour.toFixed(1)} ± ${error.toFixed(1)} MiB/h over ${minutes.toFixed(1)} min`;
}

function inMib(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "60" },
      "rate-mb": { type: "string", default: "20" },
      wal: { type: "string", default: "file" },
      store: { type: "string", default: "directory" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      samples: { type: "string" },
    },
  });
  console.log(`seed ${values.seed}, WAL ${values.wal}, store ${values.store}`);
  const soak = new Soak({
    minutes: Number(values.minutes),
    mbPerSecond: Number(values["rate-mb"]),
    wal: values.wal,
    store: values.store === "s3" ? "s3" : "directory",
    seed: Number(values.seed),
    samples: values.samples,
  });
  console.log(JSON.stringify(await soak.run(), null, 2));
  process.exitCode = soak.violations.length === 0 ? 0 : 1;
}

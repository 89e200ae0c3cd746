/**
 * Inlet beside a real Apache Kafka on the same machine in one run, driven in turn by Kafka's own perf tools:
 * 1 KiB records, acks=all, 1 and 16 partitions. Kafka runs as it ships (it does not fsync); Inlet syncs before each ack.
 * The last line is `ratio produce=X consume=Y`: the median over all pairs of ours divided by theirs.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kafkaTool, startKafka } from "../interop/kafka.ts";
import { startInlet } from "../test/support/inlet-process.ts";
import { checkout } from "../test/support/processes.ts";
import { diskBytesWritten, usage } from "./process-usage.ts";

export interface PeerOptions {
  readonly records: number;
  readonly pairs: number;
  readonly partitions: readonly number[];
}

interface Target {
  readonly name: "kafka" | "inlet";
  readonly bootstrap: string;
  readonly pid: number;
}

interface Figures {
  readonly mibPerSecond: number;
  readonly cpuSecondsPerGib: number;
  readonly diskBytesPerByte: number;
}

interface Turn {
  readonly produce: Figures;
  readonly consume: Figures;
}

interface Ratios {
  readonly produce: number[];
  readonly consume: number[];
  /** Of produce, against a Kafka that flushes every message. */
  readonly flush: number[];
}

const recordBytes = 1024;
/** Less than of the others: a Kafka that flushes every message is slow. */
const flushedShare = 1 / 3;
const flushedRecordsMin = 20_000;

export async function benchPeerKafka(options: PeerOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "inlet-bench-"));
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: checkout, encoding: "utf8" }).trim();
  console.log(`commit ${commit}, ${options.records} records of ${recordBytes} bytes, ${options.pairs} pairs`);
  try {
    await using kafka = await startKafka({ directory: join(directory, "kafka") });
    await using inlet = await startInlet({ directory: join(directory, "inlet") });
    const targets: readonly Target[] = [
      { name: "kafka", bootstrap: kafka.bootstrap, pid: kafka.running.child.pid as number },
      { name: "inlet", bootstrap: inlet.bootstrap, pid: inlet.running.child.pid as number },
    ];
    const idle = targets.map((target) => residentMib(target));
    const ratios: Ratios = { produce: [], consume: [], flush: [] };
    for (const partitions of options.partitions) {
      for (let pair = 1; pair <= options.pairs; pair += 1)
        await measurePair(targets, { ...options, partitions, pair, directory }, ratios);
      for (let pair = 1; pair <= options.pairs; pair += 1)
        await measureFlushPair(targets, { ...options, partitions, pair }, ratios);
    }
    for (const [at, target] of targets.entries())
      console.log(`${target.name} resident ${idle[at]} MiB idle, ${residentMib(target)} MiB after the load`);
    report(ratios);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measurePair(
  targets: readonly Target[],
  run: { readonly partitions: number; readonly pair: number; readonly records: number; readonly directory: string },
  ratios: Ratios,
): Promise<void> {
  const turns = new Map<Target["name"], Turn>();
  // The order alternates, so that neither side always gets the warmer disk.
  for (const target of run.pair % 2 === 1 ? targets : [...targets].reverse()) {
    const topic = `bench-${run.partitions}-${run.pair}`;
    await createTopic(target.bootstrap, topic, run.partitions, {});
    const produce = await measure(target, run, () => produceRate(target.bootstrap, topic, run.records));
    const consume = await measure(target, run, () => consumeRate(target.bootstrap, topic, run.records));
    turns.set(target.name, { produce, consume });
    print(`${target.name} p=${run.partitions} pair=${run.pair}`, produce, consume);
    await deleteTopic(target.bootstrap, topic);
  }
  const [theirs, ours] = [turns.get("kafka"), turns.get("inlet")];
  if (theirs === undefined || ours === undefined) throw new Error("a pair lacks a side");
  ratios.produce.push(ours.produce.mibPerSecond / theirs.produce.mibPerSecond);
  ratios.consume.push(ours.consume.mibPerSecond / theirs.consume.mibPerSecond);
}

async function measureFlushPair(
  targets: readonly Target[],
  run: { readonly partitions: number; readonly pair: number; readonly records: number },
  ratios: Ratios,
): Promise<void> {
  const records = Math.max(flushedRecordsMin, Math.floor(run.records * flushedShare));
  const rates = new Map<Target["name"], number>();
  for (const { name, bootstrap } of targets) {
    const topic = `flush-${run.partitions}-${run.pair}`;
    await createTopic(bootstrap, topic, run.partitions, name === "kafka" ? { "flush.messages": "1" } : {});
    rates.set(name, await produceRate(bootstrap, topic, records));
    await deleteTopic(bootstrap, topic);
  }
  ratios.flush.push((rates.get("inlet") as number) / (rates.get("kafka") as number));
}

function report(ratios: Ratios): void {
  const all = (values: readonly number[]): string => values.map((value) => value.toFixed(2)).join(" ");
  const middle = (values: readonly number[]): string => median(values).toFixed(2);
  console.log(`all produce ${all(ratios.produce)}; all consume ${all(ratios.consume)}`);
  console.log(`ratio produce-against-flush.messages=1 ${middle(ratios.flush)} (all ${all(ratios.flush)})`);
  console.log(`ratio produce=${middle(ratios.produce)} consume=${middle(ratios.consume)}`);
}

async function measure(
  target: Target,
  run: { readonly records: number; readonly directory: string },
  work: () => Promise<number>,
): Promise<Figures> {
  const diskBefore = diskBytesWritten(run.directory);
  const cpuBefore = usage(target.pid).cpuSeconds;
  const mibPerSecond = await work();
  const cpuSeconds = usage(target.pid).cpuSeconds - cpuBefore;
  const bytes = run.records * recordBytes;
  return {
    mibPerSecond,
    cpuSecondsPerGib: (cpuSeconds * 2 ** 30) / bytes,
    diskBytesPerByte: (diskBytesWritten(run.directory) - diskBefore) / bytes,
  };
}

function print(label: string, produce: Figures, consume: Figures): void {
  const show = (f: Figures): string =>
    `${f.mibPerSecond.toFixed(1)} MiB/s, ${f.cpuSecondsPerGib.toFixed(2)} CPU s/GiB, ${f.diskBytesPerByte.toFixed(2)} disk bytes/byte`;
  console.log(`${label}: produce ${show(produce)}; consume ${show(consume)}`);
}

function residentMib(target: Target): string {
  return (usage(target.pid).residentBytes / 2 ** 20).toFixed(0);
}

async function createTopic(
  bootstrap: string,
  topic: string,
  partitions: number,
  configs: Readonly<Record<string, string>>,
): Promise<void> {
  const extra = Object.entries(configs).flatMap(([key, value]) => ["--config", `${key}=${value}`]);
  await kafkaTool("org.apache.kafka.tools.TopicCommand", [
    "--bootstrap-server",
    bootstrap,
    "--create",
    "--topic",
    topic,
    "--partitions",
    String(partitions),
    ...extra,
  ]);
}

async function deleteTopic(bootstrap: string, topic: string): Promise<void> {
  await kafkaTool("org.apache.kafka.tools.TopicCommand", [
    "--bootstrap-server",
    bootstrap,
    "--delete",
    "--topic",
    topic,
  ]);
}

/** MiB/s as ProducerPerformance says. */
async function produceRate(bootstrap: string, topic: string, records: number): Promise<number> {
  const output = await kafkaTool("org.apache.kafka.tools.ProducerPerformance", [
    "--bootstrap-server",
    bootstrap,
    "--topic",
    topic,
    "--num-records",
    String(records),
    "--record-size",
    String(recordBytes),
    "--throughput",
    "-1",
    "--command-property",
    "acks=all",
  ]);
  const last = output.trim().split("\n").at(-1) ?? "";
  const match = /\(([\d.]+) MB\/sec\)/.exec(last);
  if (match === null || !last.startsWith(`${records} records sent`))
    throw new Error(`ProducerPerformance did not finish: ${output.slice(-500)}`);
  return Number(match[1]);
}

/** MiB/s while fetching, the joining of the group left out, as ConsumerPerformance says. */
async function consumeRate(bootstrap: string, topic: string, records: number): Promise<number> {
  const output = await kafkaTool("org.apache.kafka.tools.ConsumerPerformance", [
    "--bootstrap-server",
    bootstrap,
    "--topic",
    topic,
    "--num-records",
    String(records),
    "--timeout",
    "60000",
  ]);
  const fields = (output.trim().split("\n").at(-1) ?? "").split(",").map((field) => field.trim());
  if (Number(fields[4]) < records) throw new Error(`ConsumerPerformance read too little: ${output.slice(-500)}`);
  return Number(fields[8]);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

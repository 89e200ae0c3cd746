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
import { type Usage, usage } from "./process-usage.ts";

export interface PeerOptions {
  readonly records: number;
  readonly pairs: number;
  readonly partitions: readonly number[];
}

interface Figures {
  readonly mibPerSecond: number;
  readonly cpuSecondsPerGib: number;
  readonly diskBytesPerByte: number;
}

const recordBytes = 1024;

export async function benchPeerKafka(options: PeerOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "inlet-bench-"));
  console.log(
    `commit ${execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: checkout, encoding: "utf8" }).trim()}, ${options.records} records of ${recordBytes} bytes, ${options.pairs} pairs`,
  );
  try {
    await using kafka = await startKafka({ directory: join(directory, "kafka") });
    await using inlet = await startInlet({ directory: join(directory, "inlet") });
    const targets = [
      { name: "kafka", bootstrap: kafka.bootstrap, pid: kafka.running.child.pid as number },
      { name: "inlet", bootstrap: inlet.bootstrap, pid: inlet.running.child.pid as number },
    ] as const;
    const produceRatios: number[] = [];
    const consumeRatios: number[] = [];
    const flushRatios: number[] = [];
    for (const partitions of options.partitions) {
      for (let pair = 1; pair <= options.pairs; pair += 1) {
        const figures = new Map<string, { readonly produce: Figures; readonly consume: Figures }>();
        // The order alternates, so that neither side always gets the warmer disk.
        for (const target of pair % 2 === 1 ? targets : [...targets].reverse()) {
          const topic = `bench-${partitions}-${pair}`;
          await createTopic(target.bootstrap, topic, partitions, {});
          const produce = await measure(target.pid, options.records, () =>
            produceRate(target.bootstrap, topic, options.records),
          );
          const consume = await measure(target.pid, options.records, () =>
            consumeRate(target.bootstrap, topic, options.records),
          );
          figures.set(target.name, { produce, consume });
          print(`${target.name} p=${partitions} pair=${pair}`, produce, consume);
          await deleteTopic(target.bootstrap, topic);
        }
        const [theirs, ours] = [figures.get("kafka"), figures.get("inlet")];
        if (theirs === undefined || ours === undefined) throw new Error("a pair lacks a side");
        produceRatios.push(ours.produce.mibPerSecond / theirs.produce.mibPerSecond);
        consumeRatios.push(ours.consume.mibPerSecond / theirs.consume.mibPerSecond);
      }
      const flushRecords = Math.max(20_000, Math.floor(options.records / 10));
      for (let pair = 1; pair <= options.pairs; pair += 1) {
        const rates = new Map<string, number>();
        for (const target of targets) {
          const topic = `flush-${partitions}-${pair}`;
          await createTopic(
            target.bootstrap,
            topic,
            partitions,
            target.name === "kafka" ? { "flush.messages": "1" } : {},
          );
          rates.set(target.name, await produceRate(target.bootstrap, topic, flushRecords));
          await deleteTopic(target.bootstrap, topic);
        }
        flushRatios.push((rates.get("inlet") as number) / (rates.get("kafka") as number));
      }
    }
    for (const target of targets)
      console.log(`${target.name} resident ${(usage(target.pid).residentBytes / 2 ** 20).toFixed(0)} MiB`);
    console.log(
      `ratio produce-against-flush.messages=1 ${median(flushRatios).toFixed(2)} (all ${flushRatios.map((r) => r.toFixed(2)).join(" ")})`,
    );
    console.log(
      `all produce ${produceRatios.map((r) => r.toFixed(2)).join(" ")}; all consume ${consumeRatios.map((r) => r.toFixed(2)).join(" ")}`,
    );
    console.log(`ratio produce=${median(produceRatios).toFixed(2)} consume=${median(consumeRatios).toFixed(2)}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(pid: number, records: number, work: () => Promise<number>): Promise<Figures> {
  const before: Usage = usage(pid);
  const mibPerSecond = await work();
  const after = usage(pid);
  const bytes = records * recordBytes;
  return {
    mibPerSecond,
    cpuSecondsPerGib: ((after.cpuSeconds - before.cpuSeconds) * 2 ** 30) / bytes,
    diskBytesPerByte: (after.diskBytesWritten - before.diskBytesWritten) / bytes,
  };
}

function print(label: string, produce: Figures, consume: Figures): void {
  const show = (f: Figures): string =>
    `${f.mibPerSecond.toFixed(1)} MiB/s, ${f.cpuSecondsPerGib.toFixed(2)} CPU s/GiB, ${f.diskBytesPerByte.toFixed(2)} disk bytes/byte`;
  console.log(`${label}: produce ${show(produce)}; consume ${show(consume)}`);
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

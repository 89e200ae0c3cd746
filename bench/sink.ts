/**
 * Translation beside Iceberg's own sink for Kafka Connect: the same topic of the same broker, on the same machine, in one run,
 * once for each format. Rows a second of a whole core, that is rows by seconds of processor time: ours of the whole broker while
 * it reads, translates, uploads and commits; the sink's of its JVM alone, without the broker that serves it and without what it uses while it
 * waits. Both compile what they run while they run it: the first turns are those of a program that has just been started, the last one,
 * which counts, is near to what goes on for hours. The last line is `ratio avro=X …`: ours divided by theirs.
 *
 *   npm run bench -- sink [rows] [format…]
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildBatch } from "../src/protocol/records.ts";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { RawClient } from "../test/support/raw-client.ts";
import { cpuShares, nowMicros } from "./cpu-shares.ts";
import { usage } from "./process-usage.ts";
import { sinkCommitMs, startSink } from "./sink-connect.ts";
import { type PageView, type SinkFormat, sinkEncoder, sinkFormats, sinkRows, sinkSchemas } from "./sink-rows.ts";

const batchRows = 1000;
const turns = ["first", "second", "third", "fourth"] as const;
/** Long enough to see two of its commits that have nothing to commit. */
const idleMs = sinkCommitMs * 2;
/** The sink is given up when it does not commit for so long. */
const sinkMsMax = 300_000;

export async function benchSink(rows: number, wanted: readonly string[]): Promise<void> {
  const formats = sinkFormats.filter((format) => wanted.length === 0 || wanted.includes(format));
  const directory = mkdtempSync(join(tmpdir(), "inlet-sink-"));
  const views = sinkRows(rows);
  console.log(`${rows} rows a turn of 12 columns, zstd; rows/s/core`);
  console.log("format       turn       inlet      sink  ratio");
  const ratios: string[] = [];
  try {
    for (const format of formats) {
      const ratio = await compare(format, views, join(directory, format));
      ratios.push(`${format}=${ratio.toFixed(1)}`);
    }
    for (const format of formats) await profile(format, views, join(directory, `${format}-profile`));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  console.log(`ratio ${ratios.join(" ")}`);
}

async function compare(format: SinkFormat, views: readonly PageView[], directory: string): Promise<number> {
  await using broker = await startBroker(format, directory);
  const encode = await encoderOf(broker, format);
  const produce = () => produceAll(broker, format, views.map(encode));
  let ratio = Number.NaN;
  await produce();
  await using running = await startSink({ broker, directory, format, topic: format, table: `${tableOf(format)}_sink` });
  const pid = running.child.pid as number;
  for (const [at, turn] of turns.entries()) {
    const since = { cpuSeconds: usage(pid).cpuSeconds, ms: performance.now() }; // The sink reads while we still produce.
    if (at > 0) await produce();
    const theirs = await sinkRate(broker, pid, format, {
      since,
      rows: views.length,
      rowsAfter: (at + 1) * views.length,
    });
    const ours = await inletRate(broker, format, views.length);
    ratio = ours / theirs;
    const cells = [ours.toFixed(0).padStart(9), theirs.toFixed(0).padStart(9), ratio.toFixed(1).padStart(6)];
    console.log(`${format.padEnd(12)} ${turn.padEnd(6)} ${cells.join(" ")}`);
  }
  return ratio;
}

async function startBroker(format: SinkFormat, directory: string, env?: NodeJS.ProcessEnv): Promise<InletBroker> {
  mkdirSync(directory, { recursive: true });
  const topic = {
    table: { catalog: "main", name: `bench.${tableOf(format)}` },
    value: { decode: format === "json" ? "json" : "schema-id" },
    commit: { every: "1h", max_bytes: "8GiB" }, // When it is told to.
    maintain: { compact: "off" },
  };
  const config = { lake: { catalogs: { main: { type: "embedded" } } }, topics: { [format]: topic } };
  const named = { directory, config, name: `bench-inlet-${format}` };
  return await startInlet(env === undefined ? named : { ...named, env });
}

async function encoderOf(broker: InletBroker, format: SinkFormat): Promise<(row: PageView) => Buffer> {
  const schema = sinkSchemas[format];
  if (schema === null) return sinkEncoder(format, 0);
  const answer = await fetch(`${broker.registry}/subjects/${format}-value/versions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(schema),
  });
  const { id, ...rest } = (await answer.json()) as { readonly id?: number };
  if (id === undefined) throw new Error(`the registry took no schema of ${format}: ${JSON.stringify(rest)}`);
  return sinkEncoder(format, id);
}

async function produceAll(broker: InletBroker, topic: string, values: readonly Buffer[]): Promise<void> {
  await using client = await RawClient.open({ host: "127.0.0.1", port: Number(broker.bootstrap.split(":")[1]) });
  const wanted = { name: topic, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
  await client.call("createTopics", 4, { topics: [wanted], timeoutMs: 5000, validateOnly: false });
  for (let from = 0; from < values.length; from += batchRows) {
    const records = values.slice(from, from + batchRows).map((value) => ({ timestamp: Date.now(), key: null, value }));
    const partitionData = [{ index: 0, records: buildBatch({ records }) }];
    const request = { transactionalId: null, acks: -1, timeoutMs: 10_000, topicData: [{ name: topic, partitionData }] };
    const answer = await client.call("produce", 9, request);
    const code = answer.responses[0]?.partitionResponses[0]?.errorCode;
    if (code !== 0) throw new Error(`the broker refused a batch of ${topic}: error ${code}`);
  }
}

/** Rows by seconds of the broker's processor time, from the order to commit until it is done. */
async function inletRate(broker: InletBroker, format: SinkFormat, rows: number): Promise<number> {
  const pid = broker.running.child.pid as number;
  const before = usage(pid).cpuSeconds;
  const answer = await fetch(`${broker.http}/v1/tables/${format}/flush`, { method: "POST" });
  if (!answer.ok) throw new Error(`the table of ${format} cannot be committed: ${await answer.text()}`);
  return rows / (usage(pid).cpuSeconds - before);
}

/** Rows by seconds of the JVM's processor time, until the table holds them all; what it uses idle is taken off. */
async function sinkRate(
  broker: InletBroker,
  pid: number,
  format: SinkFormat,
  turn: {
    readonly since: { readonly cpuSeconds: number; readonly ms: number };
    readonly rows: number;
    readonly rowsAfter: number;
  },
): Promise<number> {
  const { since, rows, rowsAfter } = turn;
  while ((await tableRows(broker, `${tableOf(format)}_sink`)) < rowsAfter) {
    if (performance.now() - since.ms > sinkMsMax) throw new Error(`the sink of ${format} does not commit`);
    await pause(250);
  }
  const busy = usage(pid).cpuSeconds - since.cpuSeconds;
  const tookMs = performance.now() - since.ms;
  const idleFrom = usage(pid).cpuSeconds;
  await pause(idleMs);
  const idle = (usage(pid).cpuSeconds - idleFrom) / idleMs;
  return rows / (busy - Math.min(idle * tookMs, busy / 2));
}

async function tableRows(broker: InletBroker, table: string): Promise<number> {
  const answer = await fetch(`${broker.catalog}/v1/namespaces/bench/tables/${table}`);
  if (!answer.ok) return 0;
  const { metadata } = (await answer.json()) as {
    readonly metadata: { readonly snapshots?: readonly { readonly summary: Readonly<Record<string, string>> }[] };
  };
  return Math.max(0, ...(metadata.snapshots ?? []).map(({ summary }) => Number(summary["total-records"] ?? 0)));
}

/** Parts of our code, innermost first; native code belongs to whoever called it. */
const parts: Readonly<Record<string, RegExp>> = {
  encode: /src\/table\/parquet\//,
  digest: /src\/table\/tools\/digest/,
  decode:
    /src\/table\/(decode|translate|schema)\/|src\/table\/row-values|src\/protocol\/|node_modules\/(avsc|protobufjs)/,
  commit: /src\/table\/|catalogs\/|src\/metadata\//,
  upload: /src\/object-store\/|src\/base\/system-disk/,
  "read the log": /src\/(stream|log)\//,
};

/** A run of its own, since looking costs time: a broker whose threads all leave a profile behind. */
async function profile(format: SinkFormat, views: readonly PageView[], directory: string): Promise<void> {
  const profiles = join(directory, "profiles");
  const env = { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` };
  const values = await (async () => {
    await using broker = await startBroker(format, directory);
    const encode = await encoderOf(broker, format);
    await produceAll(broker, format, views.map(encode));
    return views.length;
  })();
  const window = await (async () => {
    await using broker = await startBroker(format, directory, env);
    const fromMicros = nowMicros();
    await inletRate(broker, format, values);
    return { fromMicros, toMicros: nowMicros() };
  })();
  const shares = [...cpuShares(profiles, parts, window)].sort(([, a], [, b]) => b - a);
  const total = shares.reduce((sum, [, time]) => sum + time, 0);
  const shown = shares.map(([part, time]) => `${part} ${((time / total) * 100).toFixed(0)} %`);
  console.log(`${format.padEnd(12)} ${shown.join(", ")}`);
}

/** No table's name has a dash. */
function tableOf(format: SinkFormat): string {
  return format.replaceAll("-", "_");
}

function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}

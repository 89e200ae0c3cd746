/**
 * Translation speed: Avro records of 12 columns, as they lie in record batches, to Parquet with zstd.
 *
 *   npm run bench -- translate [rows]
 *
 * Each record is a page view: a unique id, a skewed user, URLs of which a quarter carries a query, a referrer that is null in
 * two of five, a timestamp, small numbers, a nested device and up to four tags: 15 leaf columns, about 200 bytes of Avro.
 * "raw" counts the Avro bytes. First one core alone, in this thread; then the same work in a worker pool, with the delay of
 * this thread's event loop meanwhile.
 */
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import avsc from "avsc";
import type { Offset } from "../src/base/ids.ts";
import { systemRuntime } from "../src/base/runtime.ts";
import { buildBatch } from "../src/protocol/records.ts";
import { evolve, initialMapping, type SchemaText } from "../src/table/schema/schema-map.ts";
import type { TableSettings } from "../src/table/settings.ts";
import type { RangeInput, RoundResult, Translator } from "../src/table/translate/translate.ts";
import { InlineTranslator } from "../src/table/translate/translate-inline.ts";
import { PoolTranslator } from "../src/table/translate/translate-pool.ts";
import type { RoundLimits } from "../src/table/translate/translate-round.ts";

export async function benchTranslate(rows: number): Promise<void> {
  const input: Input = { rows, ...generate(rows) };
  console.log(
    `${rows} rows, ${(input.rawBytes / MiB).toFixed(1)} MiB of Avro (${(input.rawBytes / rows).toFixed(0)} bytes a row), ` +
      `zstd level ${limits.parquet.zstdLevel}`,
  );
  await onOneCore(input);
  await inWorkers(input);
}

interface Input {
  readonly rows: number;
  readonly rawBytes: number;
  readonly ranges: readonly RangeInput[];
}

const rowsPerBatch = 1000;
const batchesPerRange = 20;
const MiB = 1024 * 1024;

const schema = {
  type: "record",
  name: "PageView",
  fields: [
    { name: "event_id", type: "string" },
    { name: "user_id", type: "long" },
    { name: "session_id", type: "string" },
    { name: "event_type", type: "string" },
    { name: "url", type: "string" },
    { name: "referrer", type: ["null", "string"] },
    { name: "event_ts", type: { type: "long", logicalType: "timestamp-micros" } },
    { name: "duration_ms", type: ["null", "int"] },
    { name: "price", type: ["null", "double"] },
    { name: "is_bot", type: "boolean" },
    {
      name: "device",
      type: {
        type: "record",
        name: "Device",
        fields: [
          { name: "os", type: "string" },
          { name: "browser", type: "string" },
          { name: "screen_w", type: "int" },
          { name: "version", type: ["null", "string"] },
        ],
      },
    },
    { name: "tags", type: { type: "array", items: "string" } },
  ],
} as const;

const text: SchemaText = { type: "AVRO", text: JSON.stringify(schema) };
const schemaById = async (): Promise<SchemaText> => text;

const settings: TableSettings = {
  topic: "views",
  catalog: "main",
  namespace: ["bench"],
  table: "views",
  create: true,
  location: null,
  formatVersion: 2,
  value: { decode: "schema-id", subject: null, onTypeChange: "dead-letter" },
  key: { decode: "raw" },
  headers: "list",
  metadataPrefix: "_kafka",
  metadataColumns: ["partition", "offset", "timestamp", "timestamp_type", "key", "headers"],
  partitionBy: [],
  mode: { write: "append", key: [], envelope: "none", opField: "op", tombstone: "delete" },
  sortBy: [],
  commit: { everyMs: 1000, bytesMax: MiB },
  errors: { policy: "dlq", deadLetterTable: "views_dlq" },
  expire: { keepMs: 0, keepMin: 1 },
  retention: "wait",
  maintain: { rewrites: false, manifests: false, orphansMs: 0 },
};

const limits: RoundLimits = {
  parquet: {
    pageBytesMax: MiB,
    pageRowsMax: 20_000,
    dictionaryBytesMax: 2 * MiB,
    zstdLevel: Number(process.env["ZSTD_LEVEL"] ?? 3),
    metricsColumnsMax: 100,
  },
  rowGroupBytesMax: 64 * MiB,
  openBytesMax: 128 * MiB,
  inflateBytesMax: 64 * MiB,
};

/** A small generator of our own (mulberry32), so that every run has the same data. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function generate(rows: number): { readonly ranges: readonly RangeInput[]; readonly rawBytes: number } {
  const random = seeded(42);
  const below = (bound: number): number => Math.floor(random() * bound);
  const hex = (digits: number): string => Array.from({ length: digits }, () => below(16).toString(16)).join("");
  const skewed = (bound: number): number => Math.floor(random() ** 3 * bound);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const type = avsc.Type.forSchema(schema as never);
  const view = (at: number): unknown => ({
    event_id: `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
    user_id: 10_000_000 + skewed(100_000),
    session_id: `s-${(1e9 + below(200_000)).toString(36)}`,
    event_type: pick(["view", "click", "scroll", "buy", "cart", "login", "logout", "search"]),
    url: `https://shop.example.com/p/${skewed(5000)}${random() < 0.25 ? `?ref=${hex(8)}` : ""}`,
    referrer: random() < 0.4 ? null : `https://search.example.org/?q=${skewed(3000)}`,
    event_ts: 1_700_000_000_000_000 + at * 1370 + below(1000),
    duration_ms: random() < 0.1 ? null : skewed(60_000),
    price: random() < 0.8 ? null : below(100_000) / 100,
    is_bot: random() < 0.05,
    device: {
      os: pick(["ios", "android", "windows", "macos", "linux"]),
      browser: pick(["chrome", "safari", "firefox", "edge"]),
      screen_w: pick([360, 390, 768, 1280, 1440, 1920, 2560]),
      version: random() < 0.3 ? null : `${below(20)}.${below(10)}`,
    },
    tags: Array.from({ length: below(5) }, () => pick(["new", "sale", "home", "kids", "sport", "garden", "vip"])),
  });
  let rawBytes = 0;
  const ranges: RangeInput[] = [];
  let batches: Uint8Array[] = [];
  let from = 0;
  for (let base = 0; base < rows; base += rowsPerBatch) {
    const count = Math.min(rowsPerBatch, rows - base);
    const records = Array.from({ length: count }, (_, at) => {
      const payload = type.toBuffer(view(base + at));
      rawBytes += payload.length;
      const value = Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), payload]);
      return { timestamp: 1_700_000_000_000 + base + at, key: null, value };
    });
    batches.push(buildBatch({ baseOffset: base as Offset, records }));
    if (batches.length === batchesPerRange || base + count >= rows) {
      ranges.push({ partition: 0, batches, aborted: [], from, to: base + count });
      batches = [];
      from = base + count;
    }
  }
  return { ranges, rawBytes };
}

async function translate(translator: Translator, ranges: readonly RangeInput[]): Promise<RoundResult> {
  const start = initialMapping(settings);
  const { mapping } = evolve(start, { kind: "schema-id", part: "value", schemaId: 1, schema: text }, settings);
  await using round = translator.beginRound({
    mapping,
    spec: { "spec-id": 0, fields: [] },
    settings,
    targetFileBytes: 512 * MiB,
  });
  for (const range of ranges) {
    const outcome = await round.add(range);
    if (outcome.kind !== "added" || outcome.deadLetters > 0) throw new Error(JSON.stringify(outcome));
  }
  return await round.finish();
}

function report(name: string, ms: number, input: Input, result: RoundResult): void {
  const out = result.files.reduce((sum, file) => sum + file.bytes.length, 0);
  const krows = (input.rows / ms).toFixed(0);
  const speed = (input.rawBytes / MiB / (ms / 1000)).toFixed(1);
  console.log(
    `${name}  ${krows} krows/s  ${speed} MiB/s raw  (${(out / MiB).toFixed(1)} MiB Parquet, ${ms.toFixed(0)} ms)`,
  );
}

async function onOneCore(input: Input): Promise<void> {
  await using inline = new InlineTranslator({ limits, schemaById });
  for (let turn = 0; turn < 4; turn += 1) {
    const cpu = process.cpuUsage();
    const start = performance.now();
    const result = await translate(inline, input.ranges);
    const ms = performance.now() - start;
    const used = process.cpuUsage(cpu);
    const cpuMs = ((used.user + used.system) / 1000).toFixed(0);
    report(`one core, turn ${turn}  cpu ${cpuMs} ms`, ms, input, result);
  }
}

async function inWorkers(input: Input): Promise<void> {
  await using pool = new PoolTranslator({ clock: systemRuntime().clock, workers: 1, limits, schemaById });
  const idle = await measureDelay(() => new Promise((resolve) => setTimeout(resolve, 3000)));
  const busy = await measureDelay(async () => {
    for (let turn = 0; turn < 5; turn += 1) {
      const start = performance.now();
      const result = await translate(pool, input.ranges);
      report(`one worker, turn ${turn}`, performance.now() - start, input, result);
    }
  });
  const show = ({ p999Ms, maxMs }: Delay): string => `p99.9 ${p999Ms.toFixed(2)} ms, max ${maxMs.toFixed(2)} ms`;
  console.log(`event loop delay of this thread: idle ${show(idle)}`);
  console.log(`  while a worker translates ${show(busy)}, the maximum by ${causeOf(busy, idle)}`);
}

interface Delay {
  readonly p999Ms: number;
  readonly maxMs: number;
  /** The longest collection in this thread. */
  readonly collectionMsMax: number;
}

/** Delay of the event loop while `work` runs. The monitor's own timer of 1 ms is part of every figure. */
async function measureDelay(work: () => Promise<void>): Promise<Delay> {
  let collectionMsMax = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collectionMsMax = Math.max(collectionMsMax, duration);
  });
  observer.observe({ entryTypes: ["gc"] });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  delay.disable();
  await new Promise((resolve) => setImmediate(resolve)); // The observer is told a turn later.
  observer.disconnect();
  return { p999Ms: delay.percentile(99.9) / 1e6, maxMs: delay.max / 1e6, collectionMsMax };
}

/** What explains at least half of the longest delay. */
function causeOf(busy: Delay, idle: Delay): string {
  if (busy.collectionMsMax >= busy.maxMs / 2) return `a collection of ${busy.collectionMsMax.toFixed(2)} ms`;
  if (idle.maxMs >= busy.maxMs / 2) return "the machine: an idle loop waits as long";
  return "work of our own on this thread, or a machine that was busier than while idle";
}

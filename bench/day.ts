/**
 * A day of 60 tables with a commit a minute, in as many minutes as there are: the processes' clocks are fast, all settings are those
 * of a real day. Columns are added, the catalog goes away for a while, the broker is stopped and killed; files, metadata, memory
 * and lag are sampled into docs/day.csv, from which docs/day.svg is drawn. At the end every record must be in its table,
 * once by count, and no table's metadata may ever have been larger than 10 MB.
 *
 *   npm run bench -- day [--minutes 60] [--hours 24] [--tables 60]
 */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { checkout, freePort } from "../test/support/processes.ts";
import { type DaySample, drawDay, sampleColumns } from "./day-picture.ts";
import { type FastTime, fastEnvironment, fastNow } from "./fast-time.ts";
import { usage } from "./process-usage.ts";

export interface DayOptions {
  readonly minutes: number;
  readonly hours: number;
  readonly tables: number;
  /** Where the picture and its figures go. */
  readonly out: string;
  readonly log: (line: string) => void;
}

export interface DayReport {
  readonly samples: readonly DaySample[];
  readonly records: number;
  readonly rows: number;
  readonly metadataBytesMax: number;
}

const hourMs = 3_600_000;
/** The rule: a table's metadata stays below it. */
export const metadataBytesLimit = 10_000_000;
const samplesMax = 240;
const sampleEveryMsMin = 500;
/** To the tables, of real time. */
const sendEveryMs = 1000;
const recordsOfSend = 4;

/** What befalls the day, by its share; hours of a whole one in comments. */
const events: readonly { readonly at: number; readonly kind: DayEvent; readonly share?: number }[] = [
  { at: 0.17, kind: "restart" }, // 4:05
  { at: 0.3, kind: "outage", share: 0.02 }, // 7:12, for half an hour
  { at: 0.46, kind: "kill" }, // 11:02
  { at: 0.6, kind: "outage", share: 0.04 }, // 14:24, for an hour
  { at: 0.63, kind: "kill" }, // While the catalog is away.
  { at: 0.8, kind: "restart" }, // 19:12
  { at: 0.9, kind: "outage", share: 0.01 }, // 21:36, for a quarter
];
type DayEvent = "restart" | "kill" | "outage";

export async function runDay(options: DayOptions): Promise<DayReport> {
  await using day = await Day.open(options);
  const samples = await day.live();
  const { records, rows } = await day.end();
  const metadataBytesMax = Math.max(...samples.map((sample) => sample.metadataBytesMax));
  write(options, samples);
  return { samples, records, rows, metadataBytesMax };
}

/** As the command: says what it found, and fails when a promise was not kept. */
export async function benchDay(options: Omit<DayOptions, "out" | "log">): Promise<void> {
  const report = await runDay({ ...options, out: join(checkout, "docs"), log: console.log });
  const { records, rows, metadataBytesMax } = report;
  console.log(`records=${records} rows=${rows} metadata.bytes.max=${metadataBytesMax}`);
  if (records !== rows) throw new Error(`${records} records were acked, the tables have ${rows} rows`);
  if (metadataBytesMax >= metadataBytesLimit) throw new Error(`a table's metadata grew to ${metadataBytesMax} bytes`);
}

function write({ out, hours, minutes, tables }: DayOptions, samples: readonly DaySample[]): void {
  const lines = samples.map((sample) => sampleColumns.map((column) => sample[column]).join());
  writeFileSync(join(out, "day.csv"), `${[sampleColumns.join(), ...lines].join("\n")}\n`);
  const title = `${hours} hours of ${tables} tables, a commit a minute each, in ${minutes} minutes`;
  writeFileSync(join(out, "day.svg"), drawDay(title, samples));
}

class Day implements AsyncDisposable {
  readonly #options: DayOptions;
  readonly #time: FastTime;
  readonly #directory = mkdtempSync(join(tmpdir(), "inlet-day-"));
  readonly #ports: { readonly kafka: number; readonly catalog: number };
  #broker: InletBroker | undefined;
  #catalog: InletBroker | undefined;
  #producer: Producer | undefined;
  #records = 0;

  private constructor(options: DayOptions, ports: { readonly kafka: number; readonly catalog: number }) {
    this.#options = options;
    this.#ports = ports;
    this.#time = { speed: (options.hours * 60) / options.minutes, beganMs: Date.now() };
  }

  static async open(options: DayOptions): Promise<Day> {
    const day = new Day(options, { kafka: await freePort(), catalog: await freePort() });
    mkdirSync(join(day.#directory, "warehouse"));
    day.#catalog = await day.#startCatalog();
    day.#broker = await day.#startBroker();
    const retry = { retries: 1000, initialRetryTime: 50, maxRetryTime: 500 };
    const brokers = [day.#broker.bootstrap];
    const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry, connectionTimeout: 5000 });
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: day.#topics().map((topic) => ({ topic, numPartitions: 2 })) });
    await admin.disconnect();
    day.#producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry });
    await day.#producer.connect();
    return day;
  }

  async live(): Promise<readonly DaySample[]> {
    const stop = new AbortController();
    const sending = this.#send(stop.signal);
    const befalling = this.#befall();
    const samples: DaySample[] = [];
    const realMs = this.#options.minutes * 60_000;
    const began = performance.now();
    const count = Math.min(samplesMax, Math.ceil(realMs / sampleEveryMsMin));
    for (let at = 1; at <= count; at += 1) {
      await pause(Math.max(0, began + (realMs * at) / count - performance.now()));
      const sample = await this.#sample();
      samples.push(sample);
      if (at % 10 === 0) this.#options.log(sampleColumns.map((column) => `${column}=${sample[column]}`).join(" "));
    }
    stop.abort();
    await Promise.all([sending, befalling]);
    return samples;
  }

  /** Everything committed, and counted. */
  async end(): Promise<{ readonly records: number; readonly rows: number }> {
    let rows = 0;
    for (const topic of this.#topics()) {
      const flushed = await fetch(`${this.#broker?.http}/v1/tables/${topic}/flush`, { method: "POST" });
      if (!flushed.ok) throw new Error(`${topic} cannot be committed: ${await flushed.text()}`);
      rows += (await this.#table(topic))?.rows ?? 0;
    }
    return { records: this.#records, rows };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer?.disconnect();
    await this.#broker?.[Symbol.asyncDispose]();
    await this.#catalog?.[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #topics(): readonly string[] {
    return Array.from({ length: this.#options.tables }, (_, at) => `t${at}`);
  }

  /** Each table gets a column more every two hours, some columns of the day before are left out. */
  async #send(signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn += 1) {
      const next = pause(sendEveryMs);
      const timestamp = String(fastNow(this.#time));
      const epoch = Math.floor((fastNow(this.#time) - this.#time.beganMs) / (2 * hourMs));
      const topicMessages = this.#topics().map((topic) => ({
        topic,
        messages: Array.from({ length: recordsOfSend }, (_, at) => ({
          partition: at % 2,
          timestamp,
          value: JSON.stringify({ id: turn * recordsOfSend + at, v: `value ${turn}`, [`c${epoch}`]: turn }),
        })),
      }));
      await this.#producer?.sendBatch({ acks: -1, topicMessages });
      this.#records += topicMessages.length * recordsOfSend;
      await next;
    }
  }

  /** What befalls the broker, and beside it what befalls the catalog; each of the two comes one after another. */
  async #befall(): Promise<void> {
    const realMs = this.#options.minutes * 60_000;
    const began = performance.now();
    const inTurn = async (befallen: readonly (typeof events)[number][]): Promise<void> => {
      for (const { at, kind, share = 0 } of befallen) {
        await pause(Math.max(0, began + realMs * at - performance.now()));
        this.#options.log(`${kind} at ${(at * this.#options.hours).toFixed(1)} h`);
        await (kind === "outage" ? this.#outage(realMs * share) : this.#restart(kind));
      }
    };
    await Promise.all([
      inTurn(events.filter(({ kind }) => kind === "outage")),
      inTurn(events.filter(({ kind }) => kind !== "outage")),
    ]);
  }

  async #outage(ms: number): Promise<void> {
    const catalog = this.#catalog as InletBroker;
    this.#catalog = undefined;
    await ended(catalog, "SIGKILL");
    await pause(ms);
    this.#catalog = await this.#startCatalog();
  }

  async #restart(kind: "restart" | "kill"): Promise<void> {
    const broker = this.#broker as InletBroker;
    this.#broker = undefined;
    await ended(broker, kind === "kill" ? "SIGKILL" : "SIGTERM");
    this.#broker = await this.#startBroker();
  }

  async #sample(): Promise<DaySample> {
    const tables = (await Promise.all(this.#topics().map((topic) => this.#table(topic)))).filter(
      (table) => table !== undefined,
    );
    const most = (pick: (table: TableSize) => number): number => Math.max(0, ...tables.map(pick));
    const broker = this.#broker;
    return {
      hour: Number(((fastNow(this.#time) - this.#time.beganMs) / hourMs).toFixed(3)),
      catalogIsAway: this.#catalog === undefined ? 1 : 0,
      brokerIsAway: broker === undefined ? 1 : 0,
      dataFilesMax: most(({ dataFiles }) => dataFiles),
      snapshotsMax: most(({ snapshots }) => snapshots),
      metadataBytesMax: most(({ metadataBytes }) => metadataBytes),
      filesOnDisk: countFiles(join(this.#directory, "warehouse")),
      residentMib: broker === undefined ? 0 : Math.round(residentOf(broker) / 1024 / 1024),
      lagRecords: broker === undefined ? 0 : await lagOf(broker),
    };
  }

  /** undefined while the catalog is away or has no such table. */
  async #table(topic: string): Promise<TableSize | undefined> {
    if (this.#catalog === undefined) return undefined;
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#ports.catalog}/v1/namespaces/day/tables/${topic}`);
      return answer.ok ? sizeOf(await answer.text()) : undefined;
    } catch {
      return undefined; // Killed while it was asked.
    }
  }

  #startCatalog(): Promise<InletBroker> {
    return startInlet({
      directory: join(this.#directory, "catalog"),
      name: "day-catalog",
      env: fastEnvironment(this.#time),
      config: { catalog: { port: this.#ports.catalog, warehouse: this.#warehouse() } },
    });
  }

  #startBroker(): Promise<InletBroker> {
    const topic = (name: string) => ({
      table: { catalog: "main", name: `day.${name}` },
      value: { decode: "json" },
      commit: { every: "60s" },
    });
    const uri = `http://127.0.0.1:${this.#ports.catalog}`;
    return startInlet({
      directory: join(this.#directory, "broker"),
      name: "day",
      kafkaPort: this.#ports.kafka,
      env: fastEnvironment(this.#time),
      config: {
        catalog: { port: 0, warehouse: this.#warehouse() },
        lake: { catalogs: { main: { type: "rest", uri, warehouse: "main" } } },
        topics: Object.fromEntries(this.#topics().map((name) => [name, topic(name)])),
      },
    });
  }

  #warehouse(): string {
    return pathToFileURL(join(this.#directory, "warehouse")).href;
  }
}

async function ended(broker: InletBroker, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  const { child } = broker.running;
  const exit = once(child, "exit");
  child.kill(signal);
  await exit;
  await broker[Symbol.asyncDispose]();
}

interface TableSize {
  readonly rows: number;
  readonly dataFiles: number;
  readonly snapshots: number;
  readonly metadataBytes: number;
}

interface Loaded {
  readonly "metadata-location": string;
  readonly metadata: {
    readonly snapshots?: readonly {
      readonly "sequence-number": number;
      readonly summary: Readonly<Record<string, string>>;
    }[];
  };
}

function sizeOf(text: string): TableSize {
  const { metadata, "metadata-location": location } = JSON.parse(text) as Loaded;
  const snapshots = metadata.snapshots ?? [];
  const last = snapshots.reduce((best, each) => (each["sequence-number"] > best["sequence-number"] ? each : best), {
    "sequence-number": 0,
    summary: {},
  });
  return {
    rows: Number(last.summary["total-records"] ?? 0),
    dataFiles: Number(last.summary["total-data-files"] ?? 0),
    snapshots: snapshots.length,
    metadataBytes: statSync(new URL(location), { throwIfNoEntry: false })?.size ?? 0,
  };
}

function countFiles(directory: string): number {
  return readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile()).length;
}

function residentOf(broker: InletBroker): number {
  return usage(broker.running.child.pid as number).residentBytes;
}

/** Records that are in the log and in no snapshot, over all tables. */
async function lagOf(broker: InletBroker): Promise<number> {
  try {
    const text = await (await fetch(`${broker.http}/metrics`)).text();
    const lags = [...text.matchAll(/^inlet_table_pending_(?:translation|commit)_lag\{[^}]*\} (\d+)/gm)];
    return lags.reduce((sum, [, lag]) => sum + Number(lag), 0);
  } catch {
    return 0; // Killed while it was asked.
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}

/**
 * `npm run demo`: real flights through a stock Kafka client into an Iceberg table and out through SQL, on this machine alone.
 * Data stay in ./data/demo, so that a second start finds them. Runs from a clone: the data set and DuckDB are not part of
 * the published package.
 */
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Broker } from "./broker.ts";
import { openBroker } from "./broker.ts";
import { engines, recipe } from "./cli/recipes.ts";
import type { DemoOptions } from "./cli/server-commands.ts";
import { type Config, loadConfig } from "./config.ts";

const clone = new URL("..", import.meta.url);
const topic = "flights";
const flights = 200_000;
const usualPorts = { "kafka.port": 9092, "registry.port": 8081, "catalog.port": 8181, "http.port": 8080 } as const;

/** Returns the exit status: 0 only if every count agrees. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const say = (line: string): void => options.print(`${line}\n`);
  const config = await demoConfig(options.choice);
  say("Starting a broker, a schema registry and an Iceberg catalog ...");
  await using broker = await openBroker(config);
  const { addresses } = broker;
  say(
    `  Kafka ${addresses.kafka} · registry ${addresses.registry} · catalog ${addresses.catalog} · ${addresses.http}/metrics`,
  );

  const found = recordsOf(broker);
  if (found > 0)
    say(`Found ${found.toLocaleString("en")} records of an earlier run in ${config.settings.dataDirectory}.`);
  const produced = found > 0 ? found : await produce(addresses, say);

  say("Committing the table lake.flights ...");
  const flushed = await broker.tables.flush(topic);
  if (flushed.kind !== "flushed") {
    say(flushed.kind === "refused" ? flushed.reason : `topic ${topic} has no table`);
    return 1;
  }
  const agrees = await query(broker, produced, say);
  sayHowToGoOn(addresses, say);
  if (!options.exit) {
    say("\nStaying up; Ctrl-C ends it.");
    await new Promise<void>((resolve) => options.graceful().addEventListener("abort", () => resolve(), { once: true }));
  }
  return agrees ? 0 : 1;
}

function sayHowToGoOn({ kafka, catalog }: Broker["addresses"], say: (line: string) => void): void {
  say("\nTo paste:\n");
  say(`kcat -b ${kafka} -C -t ${topic} -o beginning -c 5 -f '%p %o %k\\n'\n`);
  for (const engine of engines) say(recipe(engine, { catalogUri: catalog, warehouse: "main", table: "lake.flights" }));
}

/** The example's own YAML and a directory of the demo's own, unless told otherwise; the usual ports where they are free. */
async function demoConfig({ file, flags }: DemoOptions["choice"]): Promise<Config> {
  const ours = new Map([
    ["--data-directory", "./data/demo"],
    ["--logging-level", "warn"],
  ]);
  for (const [key, port] of Object.entries(usualPorts)) {
    ours.set(`--${key.replaceAll(".", "-")}`, (await isFree(port)) ? String(port) : "0");
  }
  const example = fileURLToPath(new URL("examples/flights/inlet.yaml", clone));
  return loadConfig({ file: file ?? example, flags: new Map([...ours, ...flags]) });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

function recordsOf(broker: Broker): number {
  return broker.offsetsOf(topic).reduce((sum, { start, end }) => sum + (end - start), 0);
}

/** Runs the example's producer in a process of its own, as an application would be, and shows how far it is. */
async function produce(addresses: Broker["addresses"], say: (line: string) => void): Promise<number> {
  say(`Producing ${flights.toLocaleString("en")} flights with kafkajs as Avro into 6 partitions ...`);
  const script = fileURLToPath(new URL("examples/flights/produce.ts", clone));
  const args = [
    "--bootstrap",
    addresses.kafka,
    "--registry",
    addresses.registry,
    "--records",
    String(flights),
    "--topic",
    topic,
  ];
  // kafkajs computes a negative timeout now and then, and Node would warn of it in the middle of the output.
  const child = spawn(process.execPath, ["--disable-warning=TimeoutNegativeWarning", script, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let done = 0;
  let shown = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const step = JSON.parse(line) as { readonly produced?: number; readonly done?: number };
    done = step.done ?? done;
    if (step.produced !== undefined && step.produced - shown >= flights / 10) {
      shown = step.produced;
      say(`  ${String(Math.round((100 * shown) / flights)).padStart(3)} %  ${shown.toLocaleString("en")}`);
    }
  }
  if (done === 0) throw new Error("the producer ended early: run `npm ci` in this clone, then the demo again");
  return done;
}

/** Runs SQL over the table's current files and says whether all counts agree. */
async function query(broker: Broker, produced: number, say: (line: string) => void): Promise<boolean> {
  const files = (await broker.tables.currentFiles(topic)).map((path) => fileURLToPath(path));
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const duckdb = await (await DuckDBInstance.create()).connect();
  const list = files.map((file) => `'${file.replaceAll("'", "''")}'`).join(", ");
  await duckdb.run(`CREATE VIEW flights AS SELECT * FROM read_parquet([${list}])`);
  const rows = async (sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
    (await duckdb.runAndReadAll(sql)).getRowObjectsJson();

  say(`\nSQL over the ${files.length} files of the table's current snapshot:\n`);
  const totals =
    "SELECT count(*)::INT AS rows, count(DISTINCT (_kafka_partition, _kafka_offset))::INT AS offsets FROM flights";
  const [counted] = await rows(totals);
  const byOrigin =
    "SELECT origin, count(*)::INT AS flights, round(avg(delay), 1) AS delay_minutes FROM flights GROUP BY origin ORDER BY 2 DESC, 1 LIMIT 10";
  const top = await rows(byOrigin);
  say("  origin  flights  average delay, minutes");
  for (const { origin, flights: count, delay_minutes: delay } of top) {
    say(`  ${String(origin).padEnd(6)}  ${String(count).padStart(7)}  ${String(delay).padStart(8)}`);
  }
  const agrees = counted?.["rows"] === produced && counted["offsets"] === produced && recordsOf(broker) === produced;
  const verdict = agrees ? "every count agrees" : "THE COUNTS DIFFER";
  say(
    `\n  produced ${produced} · in the log ${recordsOf(broker)} · rows ${String(counted?.["rows"])} · distinct offsets ${String(counted?.["offsets"])}: ${verdict}`,
  );
  return agrees;
}

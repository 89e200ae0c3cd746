/** An example as a person runs it: a broker with its inlet.yaml, its producer as a program, its SQL word for word. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { type Broker, openBroker } from "../../src/broker.ts";
import { configOf, inProcess } from "./config.ts";
import { checkout } from "./processes.ts";

export interface Example extends AsyncDisposable {
  readonly broker: Broker;
  /** Runs produce.ts and returns how many records it says it has sent. */
  produce(...args: readonly string[]): Promise<number>;
  /** Commits the table and runs sql/duckdb.sql over the files of its current snapshot. */
  query(): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/** `topic` is the example's folder, its topic, and its table in the namespace `lake`. */
export async function openExample(topic: string): Promise<Example> {
  const folder = join(checkout, "examples", topic);
  const directory = mkdtempSync(join(tmpdir(), `inlet-${topic}-`));
  const file = join(folder, "inlet.yaml");
  const config = configOf(readFileSync(file, "utf8"), inProcess(directory), file);
  const broker = await openBroker(config);
  return {
    broker,
    async produce(...args) {
      const script = join(folder, "produce.ts");
      const { stdout } = await run(process.execPath, [script, "--bootstrap", broker.addresses.kafka, ...args]);
      return (JSON.parse(stdout.trim().split("\n").at(-1) as string) as { readonly done: number }).done;
    },
    async query() {
      const flushed = await broker.tables.flush(topic);
      if (flushed.kind !== "flushed") throw new Error(JSON.stringify(flushed));
      const files = (await broker.tables.currentFiles(topic)).map((uri) => `'${fileURLToPath(uri)}'`);
      const duckdb = await (await DuckDBInstance.create()).connect();
      // What ATTACH over the REST catalog names lake.lake.<topic>, without the extension that would have to be downloaded.
      await duckdb.run("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.lake;");
      await duckdb.run(`CREATE VIEW lake.lake.${topic} AS SELECT * FROM read_parquet([${files.join(", ")}])`);
      const answer = await duckdb.runAndReadAll(readFileSync(join(folder, "sql/duckdb.sql"), "utf8"));
      return answer.getRowObjectsJson();
    },
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const run = promisify(execFile);

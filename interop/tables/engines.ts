/** Asks each engine for the count and the checksum of tables, one engine at a time. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { IcebergType } from "../../src/table/iceberg/types.ts";
import { command, engineBin, flinkJars, java, postgresJdbcJars, python, sparkJars, versions } from "../tools.ts";
import { startTrino } from "../trino.ts";
import { awsEnvironment, type CatalogName, type Lake } from "./lake.ts";

export const engineNames = ["PyIceberg", "DuckDB", "Spark", "Trino", "Flink"] as const;
export type EngineName = (typeof engineNames)[number];

export interface Column {
  readonly name: string;
  readonly type: IcebergType;
}

export interface Job {
  readonly id: string;
  readonly catalog: CatalogName;
  readonly namespace: string;
  readonly table: string;
}

/** Where its metadata file is, and the columns to read. */
export interface LocatedJob extends Job {
  readonly metadata: string;
  readonly columns: readonly Column[];
}

export interface Sums {
  readonly rows: number;
  readonly checksum: string;
  /** Of each column by itself. */
  readonly columns: Readonly<Record<string, string>>;
}

export type Answer = Sums | { readonly error: string };

type Answers<T> = Readonly<Record<string, T>>;

/** Finds each table's metadata file and its columns by PyIceberg, which knows all five kinds of catalogs. */
export async function locate(lake: Lake, embedded: string, jobs: readonly Job[]): Promise<readonly LocatedJob[]> {
  const request = { catalogs: lake.engines(embedded).pyiceberg, jobs };
  const found = await ask<{ readonly metadata?: string; readonly error?: string }>(
    "locate",
    await catalogsBin(),
    request,
  );
  return jobs.map((job) => {
    const { metadata, error } = found[job.id] ?? {};
    if (metadata === undefined) throw new Error(`${job.id} is not to be found: ${error}`);
    return { ...job, metadata, columns: columnsOf(metadata) };
  });
}

function columnsOf(metadata: string): readonly Column[] {
  const json = JSON.parse(readFileSync(fileURLToPath(metadata), "utf8")) as {
    readonly schemas: readonly { readonly "schema-id": number; readonly fields: readonly Column[] }[];
    readonly "current-schema-id": number;
  };
  const schema = json.schemas.find((one) => one["schema-id"] === json["current-schema-id"]);
  if (schema === undefined) throw new Error(`${metadata} has no current schema`);
  return schema.fields.map(({ name, type }) => ({ name, type }));
}

/** Every job in one start of the engine. */
export async function read(
  engine: EngineName,
  options: {
    readonly lake: Lake;
    readonly embedded: string;
    readonly jobs: readonly LocatedJob[];
    readonly directory: string;
  },
): Promise<Answers<Answer>> {
  const { lake, embedded, jobs, directory } = options;
  const catalogs = lake.engines(embedded);
  switch (engine) {
    case "PyIceberg":
      return await ask("pyiceberg", await catalogsBin(), { catalogs: catalogs.pyiceberg, jobs });
    case "DuckDB": {
      const { embedded: own, java: other } = catalogs.pyiceberg; // Those of type REST.
      const attached = { embedded: own, ...(other === undefined ? {} : { java: other }) };
      return await ask("duckdb", await engineBin(), { catalogs: attached, jobs });
    }
    case "Spark": {
      const bin = await python("spark", [`pyspark==${versions.pyspark}`, "pyarrow==22.0.0", "pandas==2.3.3"]);
      const folders = [await sparkJars(), await postgresJdbcJars()];
      const jars = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
      return await ask("spark", bin, { catalogs: catalogs.spark, jobs, jars });
    }
    case "Trino": {
      await using trino = await startTrino({ directory: join(directory, "trino"), catalogs: catalogs.trino });
      return await ask("trino", await engineBin(), { catalogs: {}, jobs, trino: trino.address });
    }
    case "Flink":
      return await askFlink({ catalogs: catalogs.flink, jobs });
  }
}

/** Python with PyIceberg's clients of all catalogs. */
async function catalogsBin(): Promise<string> {
  return await python("catalogs", [`pyiceberg[pyarrow,sql-sqlite,sql-postgres,glue,hive]==${versions.pyiceberg}`]);
}

async function ask<T = Answer>(engine: string, bin: string, request: object): Promise<Answers<T>> {
  const output = await command(join(bin, "python"), [join(import.meta.dirname, "read.py"), engine], {
    input: JSON.stringify(request),
    env: { ...awsEnvironment, JAVA_TOOL_OPTIONS: "" },
  });
  return answerIn(engine, output);
}

/** What Flink's own scripts open to it in Java 17. */
const opened = ["java.util", "java.lang", "java.net", "java.io", "java.nio", "java.time", "java.util.concurrent"];

async function askFlink(request: object): Promise<Answers<Answer>> {
  const options = opened.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);
  const classPath = join(await flinkJars(), "*");
  const source = join(import.meta.dirname, "ReadTables.java");
  const quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error";
  const output = await command(java(17, 17), [...options, "-Xmx1g", quiet, "-cp", classPath, source], {
    input: JSON.stringify(request),
    env: { ...awsEnvironment, JAVA_TOOL_OPTIONS: "" },
  });
  return answerIn("Flink", output);
}

function answerIn<T>(engine: string, output: string): Answers<T> {
  const line = output.split("\n").find((one) => one.startsWith("ANSWER "));
  if (line === undefined) throw new Error(`${engine} gave no answer: ${output.slice(-2000)}`);
  return JSON.parse(line.slice("ANSWER ".length)) as Answers<T>;
}

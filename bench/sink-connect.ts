/** Iceberg's own sink, in Kafka Connect's standalone worker, with its defaults but for how often it commits. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { command, icebergSinkJars, java } from "../interop/tools.ts";
import type { InletBroker } from "../test/support/inlet-process.ts";
import { answers, freePort, type Running, start } from "../test/support/processes.ts";
import { type SinkFormat, sinkSchemas } from "./sink-rows.ts";

export const sinkCommitMs = 5000;

const converters: Readonly<Record<SinkFormat, string>> = {
  avro: "SinkConverters$Avro",
  "json-schema": "SinkConverters$FramedJson",
  json: "org.apache.kafka.connect.json.JsonConverter",
  protobuf: "SinkConverters$Protobuf",
};

/** The worker with its one connector, from `topic` into the table bench.`table`. */
export async function startSink(options: {
  readonly broker: InletBroker;
  readonly directory: string;
  readonly format: SinkFormat;
  readonly topic: string;
  readonly table: string;
}): Promise<Running> {
  const { broker, directory, format } = options;
  const url = `http://127.0.0.1:${await freePort()}`;
  const classPath = `${await compiledConverters(directory)}:${join(await icebergSinkJars(), "*")}`;
  const worker = write(directory, "worker.properties", {
    "bootstrap.servers": broker.bootstrap,
    listeners: url,
    "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "offset.storage.file.filename": join(directory, `${format}.offsets`),
    // A sink hears that it is to commit when its worker looks in, which with no new records is as often as this: a minute, unless told.
    "offset.flush.interval.ms": String(sinkCommitMs),
    "plugin.discovery": "only_scan",
  });
  const schema = sinkSchemas[format]?.schema.replaceAll("\n", " ") ?? "";
  const connector = write(directory, `${format}.properties`, {
    name: `sink-${format}`,
    "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector",
    "tasks.max": "1",
    topics: options.topic,
    "value.converter": converters[format],
    "value.converter.schemas.enable": "false",
    "value.converter.schema": schema,
    "iceberg.tables": `bench.${options.table}`,
    "iceberg.tables.auto-create-enabled": "true",
    "iceberg.control.topic": `control-${format}`,
    "iceberg.control.commit.interval-ms": String(sinkCommitMs),
    "iceberg.catalog.type": "rest",
    "iceberg.catalog.uri": broker.catalog,
    "iceberg.catalog.warehouse": "main",
    "iceberg.catalog.io-impl": "org.apache.iceberg.hadoop.HadoopFileIO",
    "consumer.override.auto.offset.reset": "earliest",
  });
  const main = "org.apache.kafka.connect.cli.ConnectStandalone";
  const log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
  // The JVM as it comes, both compilers: this one is measured.
  const args = ["-Xmx2g", log, "-cp", classPath, main, worker, connector];
  return await start(`bench-sink-${format}`, java(17), args, { ready: () => answers(url), timeoutMs: 120_000 });
}

async function compiledConverters(directory: string): Promise<string> {
  const classes = join(directory, "classes");
  mkdirSync(classes, { recursive: true });
  const source = join(import.meta.dirname, "SinkConverters.java");
  const javac = java(17).replace(/java$/, "javac");
  await command(javac, ["-nowarn", "-d", classes, "-cp", join(await icebergSinkJars(), "*"), source]);
  return classes;
}

function write(directory: string, name: string, properties: Readonly<Record<string, string>>): string {
  const path = join(directory, name);
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value.replaceAll("\\", "\\\\")}\n`);
  writeFileSync(path, lines.join(""));
  return path;
}

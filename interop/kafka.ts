/** A real Apache Kafka, and its own command-line tools, from the jars on Maven Central. */
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { freePort, type Running, start } from "../test/support/processes.ts";
import { command, java, kafkaJars } from "./tools.ts";

export interface KafkaBroker extends AsyncDisposable {
  readonly bootstrap: string;
  readonly running: Running;
}

/** Starts Kafka in KRaft mode with one combined node, as it ships but for the ports and the directory. */
export async function startKafka(options: {
  readonly directory: string;
  readonly overrides?: Readonly<Record<string, string>>;
  readonly heap?: string;
  /** A Java source file with a class that the broker is to know beside its own. */
  readonly plugin?: string;
  /** One more listener, where users authenticate by PLAIN, without TLS. */
  readonly sasl?: { readonly port: number; readonly users: ReadonlyMap<string, string> };
}): Promise<KafkaBroker> {
  const jars = join(await kafkaJars(), "*");
  const plugins = join(options.directory, "plugins");
  const classPath = options.plugin === undefined ? jars : [jars, plugins].join(delimiter);
  const [port, controllerPort] = [await freePort(), await freePort()];
  mkdirSync(options.directory, { recursive: true });
  const { sasl } = options;
  const more = sasl === undefined ? "" : `,SASL_PLAINTEXT://127.0.0.1:${sasl.port}`;
  const properties = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.bootstrap.servers": `127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${more}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${more}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
    ...(sasl === undefined ? {} : plainListener(sasl.users)),
    "log.dirs": join(options.directory, "logs"),
    "offsets.topic.replication.factor": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    ...options.overrides,
  };
  const file = join(options.directory, "server.properties");
  writeFileSync(
    file,
    Object.entries(properties)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(""),
  );
  const jvm = java(17);
  const quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
  if (options.plugin !== undefined) {
    const compiler = join(dirname(jvm), "javac");
    await command(compiler, ["-proc:none", "-cp", jars, "-d", plugins, options.plugin]);
  }
  const id = (await command(jvm, [quiet, "-cp", classPath, "kafka.tools.StorageTool", "random-uuid"]))
    .trim()
    .split("\n")
    .at(-1) as string;
  await command(jvm, [
    quiet,
    "-cp",
    classPath,
    "kafka.tools.StorageTool",
    "format",
    "--standalone",
    "-t",
    id,
    "-c",
    file,
  ]);
  // Kafka's own start script gives the broker 1 GiB and G1.
  const heap = options.heap ?? "1g";
  const running = await start(
    "kafka",
    jvm,
    [
      `-Xmx${heap}`,
      `-Xms${heap}`,
      "-XX:+UseG1GC",
      "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
      "-cp",
      classPath,
      "kafka.Kafka",
      file,
    ],
    {
      ready: (output) => output.includes("Kafka Server started"),
    },
  );
  return { bootstrap: `127.0.0.1:${port}`, running, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

function plainListener(users: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const module = "org.apache.kafka.common.security.plain.PlainLoginModule";
  const passwords = Array.from(users, ([user, password]) => `user_${user}="${password}"`).join(" ");
  return {
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl_plaintext.plain.sasl.jaas.config": `${module} required ${passwords};`,
  };
}

/** Runs one of Kafka's Java tools to its end, e.g. kafkaTool("org.apache.kafka.tools.TopicCommand", ["--list", ...]). */
export async function kafkaTool(
  className: string,
  args: readonly string[],
  options: { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<string> {
  return await command(
    java(17),
    [
      "-Xmx512m",
      "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
      "-cp",
      join(await kafkaJars(), "*"),
      className,
      ...args,
    ],
    options,
  );
}

/** Makes topics with as many partitions each, without the seconds that a JVM takes for it. */
export async function createTopics(bootstrap: string, partitions: number, names: readonly string[]): Promise<void> {
  const admin = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createTopics({ topics: names.map((topic) => ({ topic, numPartitions: partitions })) });
  await admin.disconnect();
}

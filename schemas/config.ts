/**
 * The one table of settings. docs/config.md, schemas/inlet.schema.json, --help and the INLET_* variables are rendered from
 * it; the values that a process runs with have the type Settings. One group a layer, in the order of the layers.
 */
import { GiB, KiB, MiB, type SettingsOf, setting } from "../src/base/settings.ts";

const node = {
  nodeId: setting({
    key: "node.id",
    type: "integer",
    default: 1,
    min: 0,
    max: 2147483647,
    doc: "Id of this broker, unique in the cluster.",
  }),
  dataDirectory: setting({
    key: "data.directory",
    type: "string",
    default: "./data",
    doc: "Where the WAL, the metadata log of kind file and, unless object.store.url says otherwise, the objects live.",
  }),
  memoryBytesMax: setting({
    key: "memory.bytes.max",
    type: "bytes",
    default: 1 * GiB,
    min: 256 * MiB,
    doc: "Total that caches, budgets and request memory share.",
  }),
};

const objectStore = {
  objectStoreUrl: setting({
    key: "object.store.url",
    type: "string",
    default: "",
    doc: "s3://bucket/prefix?region=..&endpoint=..&pathStyle=true, file:///path or memory://; empty means a directory inside data.directory.",
  }),
  objectStoreRequestMsMax: setting({
    key: "object.store.request.ms.max",
    type: "ms",
    default: 30_000,
    min: 1_000,
    max: 600_000,
    doc: "A request to the object store that takes longer is given up; whether a write happened is then settled by repeating it.",
  }),
  objectStoreConnectMsMax: setting({
    key: "object.store.connect.ms.max",
    type: "ms",
    default: 3_000,
    min: 100,
    max: 60_000,
    doc: "Longest wait for a connection to the object store.",
  }),
  objectStoreSocketsMax: setting({
    key: "object.store.sockets.max",
    type: "integer",
    default: 64,
    min: 1,
    max: 1024,
    doc: "Connections to the object store at a time.",
  }),
  objectStoreRetryAttemptsMax: setting({
    key: "object.store.retry.attempts.max",
    type: "integer",
    default: 8,
    min: 1,
    max: 100,
    doc: "Attempts at one request before its failure is reported.",
  }),
  objectStoreRetryDelayMsMin: setting({
    key: "object.store.retry.delay.ms.min",
    type: "ms",
    default: 50,
    min: 1,
    max: 10_000,
    doc: "Shortest delay before a request is repeated; it doubles up to object.store.retry.delay.ms.max.",
  }),
  objectStoreRetryDelayMsMax: setting({
    key: "object.store.retry.delay.ms.max",
    type: "ms",
    default: 5_000,
    min: 1,
    max: 300_000,
    doc: "Longest delay before a request is repeated.",
  }),
};

const metadata = {};

const stream = {};

const log = {};

const coordinator = {};

const registry = {
  registryEnabled: setting({
    key: "registry.enabled",
    type: "boolean",
    default: true,
    doc: "Whether this broker serves the Schema Registry API.",
  }),
  registryHost: setting({
    key: "registry.host",
    type: "string",
    default: "127.0.0.1",
    doc: "Address that the Schema Registry binds.",
  }),
  registryPort: setting({
    key: "registry.port",
    type: "integer",
    default: 8081,
    min: 0,
    max: 65535,
    doc: "Port of the Schema Registry; 0 takes a free one.",
  }),
  registryCompatibility: setting({
    key: "registry.compatibility",
    type: "string",
    default: "BACKWARD",
    oneOf: ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"],
    doc: "Compatibility level of subjects that have none of their own and no global one was put.",
  }),
  registrySchemaBytesMax: setting({
    key: "registry.schema.bytes.max",
    type: "bytes",
    default: 1 * MiB,
    min: 1 * KiB,
    max: 16 * MiB,
    doc: "Largest schema text that is accepted.",
  }),
  registrySchemasMax: setting({
    key: "registry.schemas.max",
    type: "integer",
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: "Most subject versions kept, deleted ones included; registration past it is refused.",
  }),
};

const table = {
  tableTranslateWorkers: setting({
    key: "table.translate.workers",
    type: "integer",
    default: 1,
    min: 1,
    max: 64,
    doc: "Worker threads that decode records and encode Parquet files.",
  }),
  tableTranslateOpenBytesMax: setting({
    key: "table.translate.open.bytes.max",
    type: "bytes",
    default: 128 * MiB,
    min: 1 * MiB,
    doc: "Decoded rows that a round holds over all table partitions before it writes the largest one's as a row group.",
  }),
  tableInflateBytesMax: setting({
    key: "table.translate.inflate.bytes.max",
    type: "bytes",
    default: 256 * MiB,
    min: 1 * MiB,
    doc: "Largest record batch, decompressed, that is translated; a larger one becomes a dead letter.",
  }),
  tableRowGroupBytesMax: setting({
    key: "table.parquet.row.group.bytes.max",
    type: "bytes",
    default: 64 * MiB,
    min: 64 * KiB,
    max: 128 * MiB,
    doc: "Decoded rows that make a row group of a Parquet file.",
  }),
  tablePageBytesMax: setting({
    key: "table.parquet.page.bytes.max",
    type: "bytes",
    default: 1 * MiB,
    min: 4 * KiB,
    max: 16 * MiB,
    doc: "Values of a Parquet data page, uncompressed.",
  }),
  tablePageRowsMax: setting({
    key: "table.parquet.page.rows.max",
    type: "integer",
    default: 20_000,
    min: 100,
    max: 1_000_000,
    doc: "Rows of a Parquet data page.",
  }),
  tableDictionaryBytesMax: setting({
    key: "table.parquet.dictionary.bytes.max",
    type: "bytes",
    default: 2 * MiB,
    min: 0,
    max: 16 * MiB,
    doc: "Largest dictionary of a Parquet column chunk; a column with more distinct values is written plain.",
  }),
  tableZstdLevel: setting({
    key: "table.parquet.zstd.level",
    type: "integer",
    default: 3,
    min: 1,
    max: 19,
    doc: "Compression level of Parquet pages.",
  }),
  tableMetricsColumnsMax: setting({
    key: "table.parquet.metrics.columns.max",
    type: "integer",
    default: 100,
    min: 0,
    max: 10_000,
    doc: "Columns, from the first on, whose counts and bounds go into manifests.",
  }),
};

const server = {
  kafkaHost: setting({
    key: "kafka.host",
    type: "string",
    default: "127.0.0.1",
    doc: "Address that the Kafka listener binds.",
  }),
  kafkaPort: setting({
    key: "kafka.port",
    type: "integer",
    default: 9092,
    min: 0,
    max: 65535,
    doc: "Port of the Kafka listener; 0 takes a free one.",
  }),
  requestBytesMax: setting({
    key: "kafka.request.bytes.max",
    type: "bytes",
    default: 100 * MiB,
    min: 64 * KiB,
    max: 1 * GiB,
    doc: "Largest request frame.",
  }),
  httpHost: setting({
    key: "http.host",
    type: "string",
    default: "127.0.0.1",
    doc: "Address that metrics, health and the admin API bind.",
  }),
  httpPort: setting({
    key: "http.port",
    type: "integer",
    default: 8080,
    min: 0,
    max: 65535,
    doc: "Port of metrics, health and the admin API; 0 takes a free one.",
  }),
  httpHostsAllowed: setting({
    key: "http.hosts.allowed",
    type: "list",
    default: [],
    doc: 'Host names, beside localhost and IP addresses, under which clients may call the HTTP surfaces; "*" allows all.',
  }),
  httpBodyBytesMax: setting({
    key: "http.body.bytes.max",
    type: "bytes",
    default: 4 * MiB,
    min: 1 * KiB,
    max: 256 * MiB,
    doc: "Largest body of an HTTP request.",
  }),
  httpConnectionsMax: setting({
    key: "http.connections.max",
    type: "integer",
    default: 256,
    min: 1,
    max: 65536,
    doc: "Most open connections of each HTTP surface; further ones are closed at once.",
  }),
  httpRequestMsMax: setting({
    key: "http.request.ms.max",
    type: "ms",
    default: 30_000,
    min: 100,
    max: 3_600_000,
    doc: "Longest time in which an HTTP request must have arrived in full.",
  }),
  httpCloseMsMax: setting({
    key: "http.close.ms.max",
    type: "ms",
    default: 5_000,
    min: 0,
    max: 600_000,
    doc: "How long a closing HTTP surface waits for running requests before it cuts their connections.",
  }),
};

const telemetry = {
  loggingLevel: setting({
    key: "logging.level",
    type: "string",
    default: "info",
    oneOf: ["debug", "info", "warn", "error", "silent"],
    doc: "Least level of the lines that are logged.",
  }),
  loggingRepeatsMax: setting({
    key: "logging.repeats.max",
    type: "integer",
    default: 10,
    min: 1,
    max: 1_000_000,
    doc: "Lines of one level and message in each logging.repeats.ms; the rest is counted in the next line instead.",
  }),
  loggingRepeatsMs: setting({
    key: "logging.repeats.ms",
    type: "ms",
    default: 10_000,
    min: 1,
    max: 3_600_000,
    doc: "Window of logging.repeats.max.",
  }),
  metricsSeriesMax: setting({
    key: "metrics.series.max",
    type: "integer",
    default: 10_000,
    min: 1,
    max: 10_000_000,
    doc: "Label combinations kept for one metric; further ones are counted as dropped.",
  }),
};

export const settingsTable = {
  ...node,
  ...objectStore,
  ...metadata,
  ...stream,
  ...log,
  ...coordinator,
  ...registry,
  ...table,
  ...server,
  ...telemetry,
};

export type Settings = SettingsOf<typeof settingsTable>;

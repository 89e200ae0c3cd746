/** A table as it would be: records of the real topic are translated under given settings, and nothing is kept. */
import { OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Log } from "../../log/log.ts";
import type { Topic } from "../../metadata/image.ts";
import type { PartitionSpec } from "../iceberg/types.ts";
import { wantedLayout } from "../layout.ts";
import { type EngineLimits, ParquetRows } from "../parquet/parquet-rows.ts";
import { initialMapping, type TableMapping } from "../schema/schema-map.ts";
import type { TableSettings } from "../settings.ts";
import { deadLetterSchema } from "../translate/dead-letters.ts";
import type { BytesLeaf, Int32Leaf, Int64Leaf } from "../translate/leaf.ts";
import { planWarnings, sparkDdl } from "./plan-words.ts";
import type { Scratch } from "./scratch.ts";
import { openRanges, type TailDeps, type TailRange, translateRanges } from "./tail.ts";

export interface PlanDeps extends TailDeps {
  readonly scratch: Scratch;
  readonly clock: Clock;
  readonly engine: EngineLimits;
}

export interface TablePlan {
  readonly table: string;
  readonly ddl: string;
  /** Of records that were read: from the beginning of each partition, as far as its share of the limit goes. */
  readonly sample: {
    readonly ranges: readonly TailRange[];
    readonly bytes: number;
    readonly rows: number;
    readonly files: number;
    readonly fileBytes: number;
    readonly partitions: number;
  };
  readonly rejects: readonly Reject[];
  readonly estimate: Estimate | null;
  readonly warnings: readonly string[];
}

export interface Reject {
  readonly reason: string;
  readonly records: number;
  /** "partition:offset detail" of a few. */
  readonly samples: readonly string[];
}

/** As the topic's timestamps tell; null where they do not. */
export interface Estimate {
  readonly recordsPerDay: number;
  readonly bytesPerDay: number;
  readonly commitsPerDay: number;
  /** One partition a commit, and all that the sample met in each. */
  readonly filesPerDayLeast: number;
  readonly filesPerDayMost: number;
}

const samplesMax = 3;
const dayMs = 86_400_000;
/** Below it a rate is a guess. */
const spanMsMin = 60_000;

/** Throws OperationFailed when the topic cannot be read here, or the settings cannot be a table. */
export async function planTable(settings: TableSettings, topic: Topic, deps: PlanDeps): Promise<TablePlan> {
  // Whatever the policy: every bad record is to be seen.
  const lenient: TableSettings = { ...settings, errors: { ...settings.errors, policy: "dlq" } };
  const partitions = topic.partitions.length;
  const ranges = openRanges({ topicId: topic.id, partitions, committed: new Map() }, deps.log);
  const table = { topicId: topic.id, settings: lenient, mapping: initialMapping(lenient) };
  const translated = await translateRanges({ ...table, specOf: (mapping) => specOf(lenient, mapping) }, ranges, {
    ...deps,
    beyondLimit: "stop",
  });
  const { mapping, result } = translated;
  const { schema } = mapping;
  const spec = specOf(lenient, mapping);
  const missing = settings.partitionBy.length - spec.fields.length;
  const tuples = new Set(result.files.map(({ partition }) => partition.map(String).join("\u0000")));
  const fileBytes = result.files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const sample = {
    ranges: translated.ranges,
    bytes: translated.bytes,
    rows: result.rows,
    files: result.files.length,
    fileBytes,
    partitions: tuples.size,
  };
  return {
    table: [...settings.namespace, settings.table].join("."),
    ddl: sparkDdl(settings.namespace, settings.table, schema, spec),
    sample,
    rejects: result.deadLetterFile === undefined ? [] : await rejectsOf(result.deadLetterFile.bytes, deps),
    estimate: await estimate(settings, topic, sample, deps.log),
    warnings: [
      ...planWarnings({ namespace: settings.namespace, name: settings.table }, schema, spec),
      ...(missing > 0 ? [`${missing} of partition_by name columns that no record of the sample has`] : []),
    ],
  };
}

function specOf(settings: TableSettings, mapping: TableMapping): PartitionSpec {
  const wanted = wantedLayout(settings, mapping);
  if (wanted.kind === "refused") throw new OperationFailed(wanted.reason, { happened: "no" });
  return wanted.layout.spec;
}

async function rejectsOf(file: Uint8Array, deps: PlanDeps): Promise<readonly Reject[]> {
  await using reader = await ParquetRows.open({ clock: deps.clock, limits: deps.engine });
  await using copy = await deps.scratch.write(file);
  const found = new Map<string, { records: number; samples: string[] }>();
  for await (const columns of reader.read(copy.path, deadLetterSchema, "dead letters")) {
    const leaf = (name: string): unknown => columns.leaves.find(({ shape }) => shape.path.join(".") === name);
    const reasons = leaf("reason") as BytesLeaf;
    const details = leaf("detail") as BytesLeaf;
    for (let row = 0; row < columns.rows; row += 1) {
      const reason = Buffer.from(reasons.at(row)).toString("utf8");
      const known = found.get(reason) ?? { records: 0, samples: [] };
      found.set(reason, known);
      known.records += 1;
      if (known.samples.length >= samplesMax) continue;
      const place = `${(leaf("partition") as Int32Leaf).values[row]}:${(leaf("offset") as Int64Leaf).at(row)}`;
      known.samples.push(`${place} ${Buffer.from(details.at(row)).toString("utf8")}`);
    }
  }
  return [...found]
    .map(([reason, { records, samples }]) => ({ reason, records, samples }))
    .sort((a, b) => b.records - a.records);
}

async function estimate(
  settings: TableSettings,
  topic: Topic,
  sample: { readonly rows: number; readonly fileBytes: number; readonly partitions: number },
  log: Log,
): Promise<Estimate | null> {
  let recordsPerMs = 0;
  for (const index of topic.partitions.keys()) {
    const lookup = log.partition(topic.id, index);
    if (lookup.kind !== "here") return null;
    const first = await lookup.partition.offsetFor({ kind: "at-or-after", timestamp: 0 }, "read-committed");
    const last = await lookup.partition.offsetFor({ kind: "max-timestamp" }, "read-committed");
    const spanMs = last.timestamp - first.timestamp;
    if (first.offset >= 0 && spanMs >= spanMsMin) recordsPerMs += (last.offset - first.offset) / spanMs;
  }
  if (recordsPerMs === 0 || sample.rows === 0) return null;
  const recordsPerDay = recordsPerMs * dayMs;
  const commitsPerDay = Math.min(dayMs / settings.commit.everyMs, recordsPerDay);
  return {
    recordsPerDay: Math.round(recordsPerDay),
    bytesPerDay: Math.round((recordsPerDay * sample.fileBytes) / sample.rows),
    commitsPerDay: Math.round(commitsPerDay),
    filesPerDayLeast: Math.round(commitsPerDay),
    filesPerDayMost: Math.round(Math.min(recordsPerDay, commitsPerDay * sample.partitions)),
  };
}

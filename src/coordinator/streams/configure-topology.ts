/**
 * A topology meets the topics of the cluster: how many partitions its internal topics are to have, which of them are missing,
 * and how many tasks each subtopology has.
 *
 *   fixed by the application ─▶ sinks of subtopologies whose sources are known, until nothing is open ─▶ copartition groups made
 *   equal ─▶ changelogs: as many as the widest source, which is the number of tasks
 */
import type { Refusal, Topics } from "../consumer-group-state.ts";
import type { SubtopologyId } from "./tasks.ts";
import { type InternalTopic, type StreamsTopology, type Subtopology, sourcesOf } from "./topology.ts";

export type StatusKind =
  | "stale-topology"
  | "missing-source-topics"
  | "incorrectly-partitioned-topics"
  | "missing-internal-topics"
  | "shutdown-application"
  | "assignment-delayed";

/** What members are told beside their tasks. */
export interface GroupStatus {
  readonly kind: StatusKind;
  readonly detail: string;
}

export interface ConfiguredTopology {
  /** Sorted by id. Empty when the numbers could not be decided. */
  readonly subtopologies: ReadonlyMap<SubtopologyId, ConfiguredSubtopology>;
  /** Internal topics to make. */
  readonly missing: readonly InternalTopic[];
  /** Null: ready, tasks may be given out. */
  readonly problem: GroupStatus | null;
}

export interface ConfiguredSubtopology {
  readonly tasks: number;
  readonly isStateful: boolean;
  /** With the numbers of partitions that were decided. */
  readonly subtopology: Subtopology;
}

type Counts = Pick<Topics, "byName">;

/** Refused when no topics could ever make it work. */
export function configureTopology(
  topology: StreamsTopology,
  topics: Counts,
  limits: { readonly tasksMax: number },
): ConfiguredTopology | Refusal {
  const { subtopologies } = topology;
  const absent = new Set(subtopologies.flatMap((each) => each.sourceTopics).filter((name) => !topics.byName(name)));
  if (absent.size > 0) {
    return unready("missing-source-topics", `Source topics ${summary([...absent].sort())} are missing.`);
  }
  const decided = repartitionCounts(subtopologies, topics);
  if (!(decided instanceof Map)) return decided;
  for (const group of subtopologies.flatMap(copartitionGroups)) {
    const problem = equalize(group, decided, topics);
    if (problem !== undefined) return "error" in problem ? problem : unready(problem.kind, problem.detail);
  }
  const configured: [SubtopologyId, ConfiguredSubtopology][] = [];
  let tasksTotal = 0;
  for (const subtopology of subtopologies) {
    const widths = sourcesOf(subtopology).map((name) => partitionsOf(name, decided, topics) ?? 0);
    const tasks = widths.reduce((widest, width) => Math.max(widest, width), 0);
    if (tasks === 0) return invalid(`No source topics found for subtopology ${subtopology.subtopologyId}`);
    tasksTotal += tasks;
    if (tasksTotal > limits.tasksMax) return invalid(`The topology has more than ${limits.tasksMax} tasks.`);
    configured.push([subtopology.subtopologyId, configuredSubtopology(subtopology, tasks, decided)]);
  }
  configured.sort(([a], [b]) => (a < b ? -1 : 1));
  return withInternalTopics(new Map(configured), topics);
}

function withInternalTopics(subtopologies: ConfiguredTopology["subtopologies"], topics: Counts): ConfiguredTopology {
  const wanted = new Map<string, InternalTopic>();
  for (const { subtopology } of subtopologies.values()) {
    for (const topic of [...subtopology.repartitionSourceTopics, ...subtopology.stateChangelogTopics])
      wanted.set(topic.name, topic);
  }
  for (const { name, partitions } of wanted.values()) {
    const found = topics.byName(name)?.partitions;
    if (found === undefined || found === partitions) continue;
    const detail = `Existing topic ${name} has different number of partitions: expected ${partitions}, found ${found}`;
    return unready("incorrectly-partitioned-topics", detail);
  }
  const missing = [...wanted.values()].filter(({ name }) => topics.byName(name) === undefined);
  if (missing.length === 0) return { subtopologies, missing, problem: null };
  const detail = `Internal topics are missing: ${summary(missing.map(({ name }) => name))}`;
  return { subtopologies, missing, problem: { kind: "missing-internal-topics", detail } };
}

function unready(kind: StatusKind, detail: string): ConfiguredTopology {
  return { subtopologies: new Map(), missing: [], problem: { kind, detail } };
}

function invalid(detail: string): Refusal {
  return { error: "STREAMS_INVALID_TOPOLOGY", detail };
}

/** A topic that exists has the partitions that it has. */
function partitionsOf(name: string, decided: ReadonlyMap<string, number>, topics: Counts): number | undefined {
  return topics.byName(name)?.partitions ?? decided.get(name);
}

/** What the application fixed; the others follow the widest source of the subtopology that writes them. */
function repartitionCounts(subtopologies: readonly Subtopology[], topics: Counts): Map<string, number> | Refusal {
  const decided = new Map<string, number>();
  for (const { repartitionSourceTopics } of subtopologies)
    for (const { name, partitions } of repartitionSourceTopics) if (partitions !== 0) decided.set(name, partitions);
  let open = subtopologies.flatMap((writer) => writer.repartitionSinkTopics.map((sink) => ({ writer, sink })));
  while (open.length > 0) {
    const still = open.filter(({ writer, sink }) => {
      if (decided.has(sink)) return false;
      const widths = [
        ...writer.repartitionSourceTopics.flatMap(({ name }) => decided.get(name) ?? []),
        ...writer.sourceTopics.flatMap((name) => partitionsOf(name, decided, topics) ?? []),
      ];
      if (widths.length === 0) return true;
      decided.set(sink, Math.max(...widths));
      return false;
    });
    if (still.length === open.length) {
      return invalid(
        "Failed to compute number of partitions for all repartition topics. There may be loops in the topology that cannot be resolved.",
      );
    }
    open = still;
  }
  const isNeverWritten = subtopologies.some((each) =>
    each.repartitionSourceTopics.some(({ name }) => !decided.has(name)),
  );
  if (!isNeverWritten) return decided;
  return invalid(
    "Failed to compute number of partitions for all repartition topics, because a repartition source topic is never used as a sink topic.",
  );
}

interface CopartitionGroup {
  readonly external: readonly string[];
  readonly repartition: readonly InternalTopic[];
}

function copartitionGroups(subtopology: Subtopology): readonly CopartitionGroup[] {
  return subtopology.copartitionGroups.map((group) => ({
    external: group.sourceTopics.flatMap((index) => subtopology.sourceTopics[index] ?? []),
    repartition: group.repartitionSourceTopics.flatMap((index) => subtopology.repartitionSourceTopics[index] ?? []),
  }));
}

/** Joined topics need equally many partitions: those from outside and those that are fixed rule, the others follow. */
function equalize(
  { external, repartition }: CopartitionGroup,
  decided: Map<string, number>,
  topics: Counts,
): GroupStatus | Refusal | undefined {
  const kind = "incorrectly-partitioned-topics";
  const countOf = (name: string): number => partitionsOf(name, decided, topics) ?? 0;
  const fixed = repartition.filter(({ partitions }) => partitions !== 0).map(({ name }) => name);
  const ruling = external.length > 0 ? external : fixed.length > 0 ? fixed : undefined;
  const counts = (ruling ?? repartition.map(({ name }) => name)).map((name) => [name, countOf(name)] as const);
  const [first] = counts;
  if (first === undefined) return undefined;
  if (ruling !== undefined && counts.some(([, count]) => count !== first[1])) {
    const list = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name}=${count}`);
    const detail = `Following topics do not have the same number of partitions: [{${list.join(", ")}}]`;
    return { kind, detail };
  }
  const shared = Math.max(...counts.map(([, count]) => count));
  for (const { name, partitions } of repartition) {
    if (partitions !== 0 && partitions !== shared) {
      const detail = `Number of partitions [${partitions}] of repartition topic [${name}] doesn't match number of partitions [${shared}] of the source topic.`;
      return { kind, detail };
    }
    decided.set(name, shared);
  }
  return undefined;
}

function configuredSubtopology(
  subtopology: Subtopology,
  tasks: number,
  decided: ReadonlyMap<string, number>,
): ConfiguredSubtopology {
  const repartitionSourceTopics = subtopology.repartitionSourceTopics.map((topic) => ({
    ...topic,
    partitions: decided.get(topic.name) ?? topic.partitions,
  }));
  const stateChangelogTopics = subtopology.stateChangelogTopics.map((topic) => ({ ...topic, partitions: tasks }));
  return {
    tasks,
    isStateful: stateChangelogTopics.length > 0,
    subtopology: { ...subtopology, repartitionSourceTopics, stateChangelogTopics },
  };
}

const namedMax = 3;

function summary(names: readonly string[]): string {
  const more = names.length - namedMax;
  return names.slice(0, namedMax).join(", ") + (more > 0 ? ` and ${more} additional topics` : "");
}

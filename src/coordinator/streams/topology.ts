/** The topology of a streams application, as its members send it and as it is written: subtopologies, and the topics around each. */
import { isDeepStrictEqual } from "node:util";
import type { streamsGroupTopologyValue } from "../../../schemas/kafka/streams-group-records.ts";
import type { Infer } from "../../base/codec.ts";

export type StreamsTopology = Infer<typeof streamsGroupTopologyValue>;
export type Subtopology = StreamsTopology["subtopologies"][number];
export type InternalTopic = Subtopology["stateChangelogTopics"][number];

/** Whatever the order of the subtopologies. */
export function isSameTopology(a: StreamsTopology, b: StreamsTopology): boolean {
  return a.epoch === b.epoch && isDeepStrictEqual(sorted(a.subtopologies), sorted(b.subtopologies));
}

function sorted(subtopologies: readonly Subtopology[]): readonly Subtopology[] {
  return [...subtopologies].sort((a, b) => (a.subtopologyId < b.subtopologyId ? -1 : 1));
}

/** Topics that the tasks of a subtopology read. */
export function sourcesOf(subtopology: Subtopology): readonly string[] {
  return [...subtopology.sourceTopics, ...subtopology.repartitionSourceTopics.map(({ name }) => name)];
}

/** Topics without which the application does not run. */
export function requiredTopics({ subtopologies }: StreamsTopology): ReadonlySet<string> {
  return new Set(
    subtopologies.flatMap((each) => [...sourcesOf(each), ...each.stateChangelogTopics.map(({ name }) => name)]),
  );
}

/** Which subtopology reads the topic. */
export function readerOf({ subtopologies }: StreamsTopology, topic: string): Subtopology | undefined {
  return subtopologies.find((each) => sourcesOf(each).includes(topic));
}

/** What is wrong with it, whatever topics there are. */
export function topologyProblem({ subtopologies }: StreamsTopology): string | undefined {
  const ids = new Set<string>();
  for (const { subtopologyId, ...subtopology } of subtopologies) {
    if (ids.has(subtopologyId)) return `Subtopology ${subtopologyId} is defined more than once.`;
    ids.add(subtopologyId);
    const { sourceTopics, repartitionSourceTopics } = subtopology;
    for (const { name, partitions } of subtopology.stateChangelogTopics) {
      if (partitions === 0) continue;
      return `Changelog topic ${name} must have an undefined partition count, but it is set to ${partitions}.`;
    }
    const isOutside = subtopology.copartitionGroups.some(
      (group) =>
        group.sourceTopics.some((index) => sourceTopics[index] === undefined) ||
        group.repartitionSourceTopics.some((index) => repartitionSourceTopics[index] === undefined),
    );
    if (isOutside) return `A copartition group of subtopology ${subtopologyId} names a topic that is not there.`;
  }
  return undefined;
}

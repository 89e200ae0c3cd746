/** Where to ask for what: the partitions behind the endpoint of each member, for queries of an application's state. */

import type { Topics } from "../consumer-group-state.ts";
import type { Held } from "../held.ts";
import type { Endpoint, StreamsGroup } from "./streams-group-state.ts";
import type { SubtopologyId } from "./tasks.ts";
import { sourcesOf } from "./topology.ts";

export interface EndpointPartitions {
  readonly endpoint: Endpoint;
  readonly active: readonly TopicPartitions[];
  readonly standby: readonly TopicPartitions[];
}

interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export function endpointPartitions(group: StreamsGroup, topics: Pick<Topics, "byName">): readonly EndpointPartitions[] {
  const found: EndpointPartitions[] = [];
  for (const { metadata, current } of group.members.values()) {
    const { userEndpoint: endpoint } = metadata;
    if (endpoint === null) continue;
    const partitions = (tasks: Held<SubtopologyId>): readonly TopicPartitions[] => partitionsOf(group, tasks, topics);
    found.push({
      endpoint,
      active: partitions(current.assigned.active),
      standby: partitions(current.assigned.standby),
    });
  }
  return found;
}

/** A task reads its number of each source; a topic with fewer partitions than the widest has nothing for the last ones. */
function partitionsOf(
  { configured }: StreamsGroup,
  tasks: Held<SubtopologyId>,
  topics: Pick<Topics, "byName">,
): readonly TopicPartitions[] {
  return [...tasks].flatMap(([id, numbers]) => {
    const sources = configured?.subtopologies.get(id)?.subtopology;
    if (sources === undefined) return [];
    return sourcesOf(sources).flatMap((topic) => {
      const count = topics.byName(topic)?.partitions ?? 0;
      const partitions = [...numbers.keys()].filter((number) => number < count).sort((a, b) => a - b);
      return partitions.length === 0 ? [] : [{ topic, partitions }];
    });
  });
}

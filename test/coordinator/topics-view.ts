/** Topics as a consumer group looks at them, of names and numbers of partitions. */
import type { Uuid } from "../../src/base/ids.ts";
import type { ConsumerContext } from "../../src/coordinator/consumer-group.ts";

export const idOf = (name: string): Uuid =>
  `00000000-0000-4000-8000-${String(name.charCodeAt(0)).padStart(12, "0")}` as Uuid;

export function topicsView(topics: ReadonlyMap<string, number>, version: number): ConsumerContext["topics"] {
  const names = [...topics.keys()];
  return {
    version,
    byName: (name) => {
      const partitions = topics.get(name);
      return partitions === undefined ? undefined : { id: idOf(name), partitions };
    },
    nameOf: (id) => names.find((name) => idOf(name) === id),
    names: () => names,
  };
}

/**
 * Configs of what has no place of its own in the metadata: groups, and subscriptions to client metrics. One fact a config,
 * under `<config>/<resource>`, so that two administrators who change two configs both succeed.
 */
import type { ConfigRow } from "../../../schemas/kafka-configs.ts";
import { clientMetricsConfigs, groupConfigs } from "../../../schemas/kafka-group-configs.ts";
import type { FactEvent } from "../../metadata/events.ts";
import type { Image } from "../../metadata/image.ts";

export type ConfigFactTable = "group-configs" | "client-metrics";

type Texts = ReadonlyMap<string, string>;
type Facts = Pick<Image, "fact" | "facts">;

export const factConfigRows: Readonly<Record<ConfigFactTable, Readonly<Record<string, ConfigRow>>>> = {
  "group-configs": groupConfigs,
  "client-metrics": clientMetricsConfigs,
};

/** What is set of the resource. Asks for config by config, so that a table of many resources is not searched. */
export function factConfigs(
  image: Facts,
  table: ConfigFactTable,
  resource: string,
  names: Iterable<string> = Object.keys(factConfigRows[table]),
): Texts {
  const found = new Map<string, string>();
  for (const name of names) {
    const value = image.fact(table, keyOf(name, resource));
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/** Resources of which anything is set, in the order of their names. */
export function factResources(image: Facts, table: ConfigFactTable): readonly string[] {
  const keys = image.facts(table).keys();
  return [...new Set(Array.from(keys, (key) => key.slice(key.indexOf("/") + 1)))].sort();
}

/** From what is set to what is to be. */
export function configFactsEvent(table: ConfigFactTable, resource: string, from: Texts, to: Texts): FactEvent {
  const gone = [...from.keys()].filter((name) => !to.has(name)).map((name) => ({ name, value: null }));
  const changed = Array.from(to, ([name, value]) => ({ name, value })).filter(
    ({ name, value }) => from.get(name) !== value,
  );
  const facts = [...gone, ...changed].map(({ name, value }) => ({ table, key: keyOf(name, resource), value }));
  return { kind: "set-facts", facts };
}

/** No config has a slash in its name. */
function keyOf(name: string, resource: string): string {
  return `${name}/${resource}`;
}

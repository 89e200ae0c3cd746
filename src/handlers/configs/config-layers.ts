/** The layers in which a config is looked for, and a config as DescribeConfigs and CreateTopics show it. */
import { brokerConfigs } from "../../../schemas/kafka-broker-configs.ts";
import {
  type ConfigRow,
  type ConfigSource,
  configSourceCodes,
  configTypeCodes,
  topicConfigs,
} from "../../../schemas/kafka-configs.ts";
import { shownConfigText } from "../../log/config-check.ts";
import {
  type ConfigLayers,
  type ConfigValue,
  resolveTopicConfig,
  topicConfigSynonyms,
} from "../../log/topic-config.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import { type ConfigFactTable, factConfigRows, factConfigs } from "./config-facts.ts";

export interface ConfigView {
  readonly metadata: Pick<MetadataClient, "image" | "nodeId">;
  /** This broker's own settings under Kafka's names, where they differ from Kafka's defaults or have none. */
  readonly brokerStatic: ReadonlyMap<string, string>;
}

export interface ShownConfig {
  readonly name: string;
  readonly value: string | null;
  readonly readOnly: boolean;
  readonly configSource: number;
  readonly isSensitive: boolean;
  readonly synonyms: readonly { readonly name: string; readonly value: string | null; readonly source: number }[];
  readonly configType: number;
  readonly documentation: string;
}

export function configLayers(view: ConfigView, topic: ReadonlyMap<string, string>): ConfigLayers {
  const { image, nodeId } = view.metadata;
  return {
    topic,
    broker: image.brokerConfigs(nodeId),
    brokerDefault: clusterConfigs(view),
    brokerStatic: view.brokerStatic,
  };
}

/** Set for all brokers by every new cluster: Kafka's controller writes it since 4.1, for eligible leader replicas, and clients' tests count on it. */
const setAtFirst: ReadonlyMap<string, string> = new Map([["min.insync.replicas", "1"]]);

/** What IncrementalAlterConfigs set for all brokers, over what is set for them from the start. */
function clusterConfigs({ metadata: { image } }: ConfigView): ReadonlyMap<string, string> {
  return new Map([...setAtFirst, ...image.brokerConfigs(null)]);
}

/** `shown` says whether what the topic was given is told as it was read (`TRUE` is true), or as it was given. */
export function shownTopicConfigs(
  view: ConfigView,
  topic: ReadonlyMap<string, string>,
  shown: "as-read" | "as-given",
): readonly ShownConfig[] {
  const told = (config: ConfigValue, row: ConfigRow) => (shown === "as-read" ? asRead(config, row) : config);
  const layers = configLayers(view, topic);
  return Object.entries(topicConfigs).map(([name, row]) => ({
    ...value(told(resolveTopicConfig(name, layers), row)),
    readOnly: false,
    isSensitive: false,
    synonyms: synonyms(topicConfigSynonyms(name, layers).map((synonym) => told(synonym, row))),
    configType: configTypeCodes[row.type],
    documentation: row.doc,
  }));
}

function asRead(config: ConfigValue, row: ConfigRow): ConfigValue {
  if (config.source !== "dynamic-topic" || config.value === null) return config;
  return { ...config, value: shownConfigText(config.value, row.type) };
}

export function shownBrokerConfigs(view: ConfigView): readonly ShownConfig[] {
  return Object.entries(brokerConfigs).map(([name, row]) => {
    const all = brokerValues(view, name);
    const isSensitive = row.secret === true;
    const shown = isSensitive ? all.map((entry) => ({ ...entry, value: null })) : all;
    return {
      ...value(shown[0] ?? fallback(name, null)),
      readOnly: !row.dynamic,
      isSensitive,
      synonyms: synonyms(shown),
      configType: configTypeCodes[row.type],
      documentation: row.doc,
    };
  });
}

/** All that says a broker config's value, the one that counts first. */
function brokerValues(view: ConfigView, name: string): readonly ConfigValue[] {
  const { image, nodeId } = view.metadata;
  const layers = [
    ["dynamic-broker", image.brokerConfigs(nodeId)],
    ["dynamic-default-broker", clusterConfigs(view)],
    ["static-broker", view.brokerStatic],
  ] as const;
  const found: ConfigValue[] = layers.flatMap(([source, texts]) => {
    const text = texts.get(name);
    return text === undefined ? [] : [{ name, value: text, source }];
  });
  const text = brokerConfigs[name]?.default ?? null;
  return text === null ? found : [...found, fallback(name, text)];
}

/** What is set for all brokers, and nothing else: these have no broker to take defaults from. */
export function shownBrokerDefaults(view: ConfigView): readonly ShownConfig[] {
  return Array.from(clusterConfigs(view), ([name, text]) => {
    const own: ConfigValue = { name, value: text, source: "dynamic-default-broker" };
    const row = brokerConfigs[name];
    return {
      ...value(own),
      readOnly: false,
      isSensitive: row?.secret === true,
      synonyms: synonyms([own]),
      configType: configTypeCodes[row?.type ?? "string"],
      documentation: row?.doc ?? "",
    };
  });
}

/** Of a group or a subscription to client metrics; one that nobody has configured has its defaults. */
export function shownFactConfigs(view: ConfigView, table: ConfigFactTable, resource: string): readonly ShownConfig[] {
  const rows = factConfigRows[table];
  const texts = factConfigs(view.metadata.image, table, resource);
  return Object.entries(rows).map(([name, row]) => {
    const text = texts.get(name);
    const own: ConfigValue[] = text === undefined ? [] : [{ name, value: text, source: factConfigSources[table] }];
    const all = [...own, ...(table === "group-configs" ? groupDefaults(view, name, row) : [])];
    return {
      ...value({ ...(all[0] ?? fallback(name, row.default)), name }),
      readOnly: false,
      isSensitive: false,
      synonyms: synonyms(all),
      configType: configTypeCodes[row.type],
      documentation: row.doc,
    };
  });
}

/** What a group has that nobody configured, under the name of the broker's config where that is what says it. */
function groupDefaults(view: ConfigView, name: string, row: ConfigRow): readonly ConfigValue[] {
  const [synonym] = row.synonyms ?? [];
  return synonym === undefined ? [fallback(name, row.default)] : brokerValues(view, synonym.name);
}

const factConfigSources = { "group-configs": "group", "client-metrics": "client-metrics" } as const;

function value({ name, value: text, source }: ConfigValue): Pick<ShownConfig, "name" | "value" | "configSource"> {
  return { name, value: text, configSource: configSourceCodes[source] };
}

function fallback(name: string, text: string | null): ConfigValue {
  return { name, value: text, source: "default" satisfies ConfigSource };
}

function synonyms(values: readonly ConfigValue[]): ShownConfig["synonyms"] {
  return values.map(({ name, value: text, source }) => ({ name, value: text, source: configSourceCodes[source] }));
}

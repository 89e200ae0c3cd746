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
  readonly documentation: string | null;
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

/** The configs of one resource after another. */
export type ShownConfigs<Resource> = (resource: Resource) => readonly ShownConfig[];

/** What an answer says of a config. */
export type Tell = (config: ShownConfig) => ShownConfig;

/** `shown` says whether what a topic was given is told as it was read (`TRUE` is true), or as it was given. */
export function topicConfigsShown(
  view: ConfigView,
  shown: "as-read" | "as-given",
  tell: Tell = (config) => config,
): ShownConfigs<ReadonlyMap<string, string>> {
  const layers = configLayers(view, new Map());
  const rows = Object.entries(topicConfigs).map(([name, row]) =>
    shownRow(row, resolveTopicConfig(name, layers), topicConfigSynonyms(name, layers)),
  );
  const asShown = (text: string, row: ConfigRow): string =>
    shown === "as-read" ? shownConfigText(text, row.type) : text;
  return overRows(rows, { source: "dynamic-topic", asShown, tell });
}

interface ShownRow {
  readonly row: ConfigRow;
  /** Of a resource that says nothing itself. */
  readonly inherited: ShownConfig;
}

function shownRow(row: ConfigRow, counts: ConfigValue, all: readonly ConfigValue[]): ShownRow {
  const inherited: ShownConfig = {
    ...value(counts),
    readOnly: false,
    isSensitive: false,
    synonyms: synonyms(all),
    configType: configTypeCodes[row.type],
    documentation: row.doc,
  };
  return { row, inherited };
}

/** What no resource says itself is put together, and told, once for all of them. */
function overRows(
  rows: readonly ShownRow[],
  own: {
    readonly source: ConfigSource;
    readonly asShown: (text: string, row: ConfigRow) => string;
    readonly tell: Tell;
  },
): ShownConfigs<ReadonlyMap<string, string>> {
  const source = configSourceCodes[own.source];
  const told = rows.map(({ inherited }) => own.tell(inherited));
  return (texts) => {
    if (texts.size === 0) return told;
    return rows.map(({ row, inherited }, index) => {
      const { name } = inherited;
      const given = texts.get(name);
      if (given === undefined) return told[index] as ShownConfig;
      const text = own.asShown(given, row);
      const all = [{ name, value: text, source }, ...inherited.synonyms];
      return own.tell({ ...inherited, value: text, configSource: source, synonyms: all });
    });
  };
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

/** Of groups or subscriptions to client metrics; one that nobody has configured has its defaults. */
export function factConfigsShown(view: ConfigView, table: ConfigFactTable, tell: Tell): ShownConfigs<string> {
  const rows = Object.entries(factConfigRows[table]).map(([name, row]) => {
    const all = table === "group-configs" ? groupDefaults(view, name, row) : [];
    return shownRow(row, { ...(all[0] ?? fallback(name, row.default)), name }, all);
  });
  const shown = overRows(rows, { source: factConfigSources[table], asShown: (text) => text, tell });
  return (resource) => shown(factConfigs(view.metadata.image, table, resource));
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

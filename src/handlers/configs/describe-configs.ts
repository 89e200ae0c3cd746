/** DescribeConfigs: every config that a resource has, where its value comes from and what it means. */

import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { madeFrom } from "../../base/elements.ts";
import type { LogLevels } from "../../base/log-levels.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";
import { fewOfEach } from "../repeated.ts";
import { topicNameProblem } from "../topics/topic-names.ts";
import {
  type ConfigView,
  factConfigsShown,
  type ShownConfig,
  shownBrokerConfigs,
  shownBrokerDefaults,
  topicConfigsShown,
} from "./config-layers.ts";
import { shownLoggers } from "./logger-configs.ts";

type Request = RequestOf<"describeConfigs">;
type Response = ResponseInputOf<"describeConfigs">;

export const resourceTypes = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const;

export interface DescribeConfigsOptions extends ConfigView {
  readonly logLevels: LogLevels;
}

type Problem = { readonly error: ErrorName; readonly message: string };

export function describeConfigsHandler(options: DescribeConfigsOptions): Handler<Request, Response> {
  return async (request) => {
    const unknown = unknownType(request.resources); // As Kafka: one that there is no type of spoils the request.
    const configsOf = configsByType(options, request);
    let madeUp = 0;
    const asked = fewOfEach(request.resources, ({ resourceType, resourceName }) => `${resourceType} ${resourceName}`);
    const judged = asked.map((resource) => {
      const { resourceType } = resource;
      if (resourceType === resourceTypes.group || resourceType === resourceTypes.clientMetrics) madeUp += 1;
      return { ...resource, problem: unknown ?? (madeUp > madeUpMax ? tooMany : undefined) };
    });
    const results = madeFrom(judged, ({ resourceType, resourceName, configurationKeys, problem }) => {
      const found = problem ?? configsOf(resourceType, resourceName);
      if ("error" in found) {
        const { error, message } = found;
        return { errorCode: code(error), errorMessage: clipped(message), resourceType, resourceName, configs: [] };
      }
      const wanted = new Set(configurationKeys);
      return {
        errorCode: 0,
        errorMessage: "", // As Kafka: what did not fail has an empty text, not none.
        resourceType,
        resourceName,
        configs: wanted.size === 0 ? found : found.filter(({ name }) => wanted.has(name)),
      };
    });
    return { results };
  };
}

/** Groups and subscriptions to client metrics have configs whether they are there or not. */
const madeUpMax = 10_000;
const tooMany: Problem = {
  error: "INVALID_REQUEST",
  message: `A request may ask for ${madeUpMax} groups and subscriptions to client metrics.`,
};

const knownTypes: ReadonlySet<number> = new Set(Object.values(resourceTypes));

function unknownType(resources: Request["resources"]): Problem | undefined {
  const unknown = resources.find(({ resourceType }) => !knownTypes.has(resourceType));
  if (unknown === undefined) return undefined;
  return { error: "INVALID_REQUEST", message: `Unsupported resource type: ${unknown.resourceType}` };
}

/** Of a request: what its resources have in common is put together once. */
function configsByType(
  options: DescribeConfigsOptions,
  { includeSynonyms, includeDocumentation }: Request,
): (resourceType: number, resourceName: string) => readonly ShownConfig[] | Problem {
  const tell = (config: ShownConfig): ShownConfig => ({
    ...config,
    synonyms: includeSynonyms ? config.synonyms : [],
    documentation: includeDocumentation ? config.documentation : null,
  });
  const ofTopic = once(() => topicConfigsShown(options, "as-read", tell));
  const ofMetrics = once(() => factConfigsShown(options, "client-metrics", tell));
  const ofGroup = once(() => factConfigsShown(options, "group-configs", tell));
  const ofBroker = (name: string): readonly ShownConfig[] | Problem => {
    if (name === "") return shownBrokerDefaults(options).map(tell);
    return brokerProblem(options, name) ?? shownBrokerConfigs(options).map(tell);
  };
  return (resourceType, resourceName) => {
    switch (resourceType) {
      case resourceTypes.topic: {
        const badName = topicNameProblem(resourceName);
        if (badName !== undefined) return { error: "INVALID_TOPIC_EXCEPTION", message: badName };
        const topic = options.metadata.image.topicByName(resourceName);
        if (topic === undefined)
          return { error: "UNKNOWN_TOPIC_OR_PARTITION", message: `Topic ${resourceName} not found.` };
        return ofTopic()(topic.configs);
      }
      case resourceTypes.broker:
        return ofBroker(resourceName);
      case resourceTypes.brokerLogger:
        if (resourceName === "") return { error: "INVALID_REQUEST", message: "Broker id must not be empty" };
        return brokerProblem(options, resourceName) ?? shownLoggers(options.logLevels).map(tell);
      case resourceTypes.clientMetrics:
        if (resourceName === "") return { error: "INVALID_REQUEST", message: "Client metrics name must not be empty" };
        return ofMetrics()(resourceName);
      case resourceTypes.group:
        if (resourceName === "") return { error: "INVALID_REQUEST", message: "Group name must not be empty" };
        return ofGroup()(resourceName);
      default:
        return [];
    }
  };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** A broker speaks for itself alone: the static values of the others are not known here. */
export function brokerProblem({ metadata }: Pick<ConfigView, "metadata">, name: string): Problem | undefined {
  if (!/^-?\d+$/.test(name)) {
    return { error: "INVALID_REQUEST", message: `Broker id must be an integer, but it is: ${name}` };
  }
  if (Number(name) === metadata.nodeId) return undefined;
  return {
    error: "INVALID_REQUEST",
    message: `Unexpected broker id, expected ${metadata.nodeId} or empty string, but received ${name}`,
  };
}

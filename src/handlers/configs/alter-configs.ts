/** AlterConfigs, which replaces a resource's whole set, and IncrementalAlterConfigs, which changes parts of it. */
import { brokerConfigs } from "../../../schemas/kafka-broker-configs.ts";
import { type ConfigRow, topicConfigs } from "../../../schemas/kafka-configs.ts";
import { Lane } from "../../base/async.ts";
import type { LogLevels } from "../../base/log-levels.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { MetadataEvent } from "../../metadata/events.ts";
import type { Image } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";
import { repeated } from "../repeated.ts";
import { topicNameProblem } from "../topics/topic-names.ts";
import {
  type ConfigChange,
  type ConfigOperation,
  type ConfigProblem,
  type ConfigSetCheck,
  changeConfigs,
  checkBrokerConfigSet,
  checkTopicConfigSet,
  operationsProblem,
  replaceConfigs,
  type Texts,
  unknownOperation,
} from "./config-change.ts";
import { type ConfigFactTable, configFactsEvent, factConfigRows, factConfigs } from "./config-facts.ts";
import { brokerProblem, resourceTypes } from "./describe-configs.ts";
import { checkClientMetricsConfigSet, type GroupConfigLimits, groupConfigSetCheck } from "./fact-config-check.ts";
import { changeLoggers } from "./logger-configs.ts";

export interface AlterConfigsOptions extends GroupConfigLimits {
  readonly metadata: Pick<MetadataClient, "image" | "nodeId" | "propose">;
  readonly logLevels: LogLevels;
}

interface Resource {
  readonly resourceType: number;
  readonly resourceName: string;
}

/** A set of configs that can be changed. */
interface Target {
  readonly current: Texts;
  readonly table: Readonly<Record<string, ConfigRow>>;
  readonly check: ConfigSetCheck;
  /** undefined when there is no such resource, which is said of a change that is sound by itself. */
  readonly event: ((configs: Texts) => MetadataEvent) | undefined;
}

export interface AlterConfigsHandlers {
  readonly alterConfigs: Handler<RequestOf<"alterConfigs">, ResponseInputOf<"alterConfigs">>;
  readonly incrementalAlterConfigs: Handler<
    RequestOf<"incrementalAlterConfigs">,
    ResponseInputOf<"incrementalAlterConfigs">
  >;
}

export function alterConfigsHandlers(options: AlterConfigsOptions): AlterConfigsHandlers {
  const lane = new Lane(); // A change is read, made and proposed before the next one reads.
  return {
    alterConfigs: (request) =>
      lane.run(() =>
        alterAll(request, (resource) =>
          resource.resourceType === resourceTypes.brokerLogger
            ? Promise.resolve(invalid("Log levels are changed by IncrementalAlterConfigs."))
            : alterOne(options, resource, request.validateOnly, ({ check }) => replaceConfigs(resource.configs, check)),
        ),
      ),
    incrementalAlterConfigs: (request) => {
      const unknown = unknownOperation(request.resources.flatMap(({ configs }) => configs));
      return lane.run(() =>
        alterAll(request, (resource) => {
          if (unknown !== undefined) return Promise.resolve(unknown);
          return resource.resourceType === resourceTypes.brokerLogger
            ? Promise.resolve(alterLoggers(options, resource, request.validateOnly))
            : alterOne(options, resource, request.validateOnly, ({ current, table, check }) =>
                changeConfigs(current, resource.configs, table, check),
              );
        }),
      );
    },
  };
}

async function alterAll<R extends Resource>(
  request: { readonly resources: readonly R[] },
  alter: (resource: R) => Promise<ConfigProblem | undefined>,
): Promise<ResponseInputOf<"alterConfigs">> {
  const names = request.resources.map(({ resourceType, resourceName }) => `${resourceType} ${resourceName}`);
  const twice = repeated(names);
  const responses = [];
  for (const [index, resource] of request.resources.entries()) {
    const isTwice = twice.has(names[index] ?? "");
    const problem = isTwice ? invalid("Each resource must appear at most once.") : await alter(resource);
    const { resourceType, resourceName } = resource;
    responses.push({
      errorCode: code(problem?.error),
      errorMessage: problem === undefined ? null : clipped(problem.message),
      resourceType,
      resourceName,
    });
  }
  return { responses };
}

async function alterOne(
  options: AlterConfigsOptions,
  resource: Resource,
  validateOnly: boolean,
  change: (target: Target) => ConfigChange,
): Promise<ConfigProblem | undefined> {
  const target = targetOf(options, resource);
  if ("error" in target) return target;
  const changed = change(target);
  if ("error" in changed) return changed;
  if (target.event === undefined) return unknownTopic(resource.resourceName);
  if (validateOnly || isSame(changed.configs, target.current)) return undefined;
  const proposal = await options.metadata.propose([target.event(changed.configs)]);
  if (proposal.kind === "accepted") return undefined;
  const { refusal } = proposal;
  if (refusal.reason === "missing") return unknownTopic(resource.resourceName);
  const message = refusal.reason === "fenced" ? "this broker was replaced" : refusal.detail;
  return { error: "UNKNOWN_SERVER_ERROR", message };
}

function targetOf(options: AlterConfigsOptions, { resourceType, resourceName }: Resource): Target | ConfigProblem {
  const { image, nodeId } = options.metadata;
  switch (resourceType) {
    case resourceTypes.topic: {
      const topic = image.topicByName(resourceName);
      return {
        current: topic?.configs ?? new Map(),
        table: topicConfigs,
        check: (configs) => topicNamed(resourceName) ?? checkTopicConfigSet(configs),
        event: topic && ((configs) => ({ kind: "set-topic-configs", topicId: topic.id, configs })),
      };
    }
    case resourceTypes.broker: {
      const problem = resourceName === "" ? undefined : brokerProblem(options, resourceName);
      if (problem !== undefined) return problem;
      const node = resourceName === "" ? null : nodeId;
      return {
        current: image.brokerConfigs(node),
        table: brokerConfigs,
        check: checkBrokerConfigSet,
        event: (configs) => ({ kind: "set-broker-configs", nodeId: node, configs }),
      };
    }
    case resourceTypes.clientMetrics:
      if (resourceName === "") return invalid("Subscription name can't be empty");
      return factTarget(image, "client-metrics", resourceName, checkClientMetricsConfigSet);
    case resourceTypes.group:
      if (resourceName === "") return invalid("Default group resources are not allowed.");
      return factTarget(image, "group-configs", resourceName, groupConfigSetCheck(options));
    default:
      return invalid(`Unsupported resource type: ${resourceType}`);
  }
}

function factTarget(image: Image, table: ConfigFactTable, resource: string, check: ConfigSetCheck): Target {
  const current = factConfigs(image, table, resource);
  return {
    current,
    table: factConfigRows[table],
    check,
    event: (configs) => configFactsEvent(table, resource, current, configs),
  };
}

function alterLoggers(
  options: AlterConfigsOptions,
  { resourceName, configs }: Resource & { readonly configs: readonly ConfigOperation[] },
  validateOnly: boolean,
): ConfigProblem | undefined {
  return (
    brokerProblem(options, resourceName) ??
    operationsProblem(configs) ??
    changeLoggers(options.logLevels, configs, validateOnly)
  );
}

function isSame(a: Texts, b: Texts): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (b.get(name) !== value) return false;
  return true;
}

function topicNamed(name: string): ConfigProblem | undefined {
  if (name === "") return invalid("Default topic resources are not allowed.");
  const message = topicNameProblem(name);
  return message === undefined ? undefined : { error: "INVALID_TOPIC_EXCEPTION", message };
}

function unknownTopic(name: string): ConfigProblem {
  return { error: "UNKNOWN_TOPIC_OR_PARTITION", message: `The topic '${name}' does not exist.` };
}

function invalid(message: string): ConfigProblem {
  return { error: "INVALID_REQUEST", message };
}

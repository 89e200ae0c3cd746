/** AlterConfigs, which replaces a resource's whole set, and IncrementalAlterConfigs, which changes parts of it. */
import { brokerConfigs } from "../../schemas/kafka-broker-configs.ts";
import { topicConfigs } from "../../schemas/kafka-configs.ts";
import { Lane } from "../base/async.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { MetadataEvent } from "../metadata/events.ts";
import type { RequestOf, ResponseInputOf } from "../protocol/api-table.ts";
import {
  type ConfigChange,
  type ConfigProblem,
  type ConfigSetCheck,
  changeConfigs,
  checkBrokerConfigSet,
  checkTopicConfigSet,
  replaceConfigs,
  type Texts,
} from "./config-change.ts";
import { brokerProblem, resourceTypes } from "./describe-configs.ts";
import { clipped } from "./error-text.ts";
import { code, type Handler } from "./handler.ts";
import { topicNameProblem } from "./topic-names.ts";

export interface AlterConfigsOptions {
  readonly metadata: Pick<MetadataClient, "image" | "nodeId" | "propose">;
}

interface Resource {
  readonly resourceType: number;
  readonly resourceName: string;
}

/** A set of configs that can be changed. */
interface Target {
  readonly current: Texts;
  readonly table: typeof topicConfigs;
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
      lane.run(() => alterAll(options, request, (resource, target) => replaceConfigs(resource.configs, target.check))),
    incrementalAlterConfigs: (request) =>
      lane.run(() =>
        alterAll(options, request, (resource, { current, table, check }) =>
          changeConfigs(current, resource.configs, table, check),
        ),
      ),
  };
}

async function alterAll<R extends Resource>(
  options: AlterConfigsOptions,
  request: { readonly resources: readonly R[]; readonly validateOnly: boolean },
  change: (resource: R, target: Target) => ConfigChange,
): Promise<ResponseInputOf<"alterConfigs">> {
  const names = request.resources.map(({ resourceType, resourceName }) => `${resourceType} ${resourceName}`);
  const responses = [];
  for (const [index, resource] of request.resources.entries()) {
    const isTwice = names.indexOf(names[index] ?? "") !== names.lastIndexOf(names[index] ?? "");
    const problem = isTwice
      ? invalid("Each resource must appear at most once.")
      : await alterOne(options, resource, change, request.validateOnly);
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

async function alterOne<R extends Resource>(
  options: AlterConfigsOptions,
  resource: R,
  change: (resource: R, target: Target) => ConfigChange,
  validateOnly: boolean,
): Promise<ConfigProblem | undefined> {
  const target = targetOf(options, resource);
  if ("error" in target) return target;
  const changed = change(resource, target);
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
    case resourceTypes.brokerLogger:
      return invalid("The log level is set where the broker is started.");
    default:
      return invalid(`Unsupported resource type: ${resourceType}`);
  }
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

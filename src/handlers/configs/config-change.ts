/** What a set of configs becomes by IncrementalAlterConfigs. Pure: texts in, texts or the reason why not out. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { brokerConfigs } from "../../../schemas/kafka-broker-configs.ts";
import { type ConfigRow, retiredTopicConfigs, topicConfigs } from "../../../schemas/kafka-configs.ts";
import { configProblem, listItems } from "../../log/config-check.ts";
import { checkTopicConfigs } from "../../log/topic-config.ts";

export type Texts = ReadonlyMap<string, string>;

/** Numbers are those of the request. */
export const configOperations = { set: 0, delete: 1, append: 2, subtract: 3 } as const;

export interface ConfigOperation {
  readonly name: string;
  readonly configOperation: number;
  readonly value: string | null;
}

export interface ConfigProblem {
  readonly error: ErrorName;
  readonly message: string;
}

export type ConfigChange = { readonly configs: Texts } | ConfigProblem;

/** Of Kafka's controller: a value's length has to fit an int16 in its records. */
const valueBytesMax = 32767;

/** Says whether the whole set may be kept, and how. */
export type ConfigSetCheck = (configs: ReadonlyMap<string, string | null>) => ConfigChange;

export function changeConfigs(
  current: Texts,
  operations: readonly ConfigOperation[],
  table: Readonly<Record<string, ConfigRow>>,
  check: ConfigSetCheck,
): ConfigChange {
  const malformed = operationsProblem(operations);
  if (malformed !== undefined) return malformed;
  const next = new Map(current);
  for (const operation of operations) {
    const problem = apply(next, operation, table);
    if (problem !== undefined) return problem;
  }
  return check(next);
}

/** The whole set is replaced: what is not named goes back to its default. */
export function replaceConfigs(
  given: readonly { readonly name: string; readonly value: string | null }[],
  check: ConfigSetCheck,
): ConfigChange {
  const asSets = given.map((config) => ({ ...config, configOperation: configOperations.set }));
  const malformed = operationsProblem(asSets);
  if (malformed !== undefined) return malformed;
  return check(new Map(given.map(({ name, value }) => [name, value])));
}

export function checkTopicConfigSet(configs: ReadonlyMap<string, string | null>): ConfigChange {
  const checked = checkTopicConfigs(configs);
  if (checked.kind === "bad") return { error: "INVALID_CONFIG", message: checked.problem };
  return tooLong(checked.configs) ?? { configs: checked.configs };
}

export function checkBrokerConfigSet(configs: ReadonlyMap<string, string | null>): ConfigChange {
  const kept = new Map<string, string>();
  for (const [name, given] of configs) {
    const row = brokerConfigs[name];
    if (row === undefined) return { error: "INVALID_CONFIG", message: `Unknown broker config name: ${name}` };
    if (!row.dynamic) {
      return { error: "INVALID_REQUEST", message: `Cannot update these configs dynamically: [${name}]` };
    }
    const problem = configProblem(name, given ?? "", row);
    if (problem !== undefined) return { error: "INVALID_CONFIG", message: problem };
    kept.set(name, given ?? "");
  }
  return tooLong(kept) ?? { configs: kept };
}

/** An operation that there is none of: nothing of its request is done. */
export function unknownOperation(operations: readonly ConfigOperation[]): ConfigProblem | undefined {
  const unknown = operations.find(({ configOperation: kind }) => kind < 0 || kind > configOperations.subtract);
  return unknown === undefined ? undefined : invalid(`Unknown config operation ${unknown.configOperation}`);
}

/** What is wrong with them whatever they are applied to. */
export function operationsProblem(operations: readonly ConfigOperation[]): ConfigProblem | undefined {
  const names = operations.map(({ name }) => name);
  if (new Set(names).size !== names.length) return invalid("Error due to duplicate config keys");
  const nulls = operations.filter(
    ({ value, configOperation }) => value === null && configOperation !== configOperations.delete,
  );
  if (nulls.length > 0) return invalid(`Null value not supported for : ${nulls.map(({ name }) => name).join(",")}`);
  return undefined;
}

function apply(
  next: Map<string, string>,
  operation: ConfigOperation,
  table: Readonly<Record<string, ConfigRow>>,
): ConfigProblem | undefined {
  if (table === topicConfigs && retiredTopicConfigs.has(operation.name)) return undefined;
  const { name } = operation;
  const value = operation.value ?? "";
  if (operation.configOperation === configOperations.delete) {
    next.delete(name);
    return undefined;
  }
  if (operation.configOperation === configOperations.set) {
    next.set(name, value);
    return undefined;
  }
  const isAppend = operation.configOperation === configOperations.append;
  const row = table[name];
  if (row?.type !== "list") {
    const verb = isAppend ? "APPEND" : "SUBTRACT";
    return { error: "INVALID_CONFIG", message: `Can't ${verb} to key ${name} because its type is not LIST.` };
  }
  const before = listItems(next.get(name) ?? row.default ?? "");
  const given = listItems(value);
  const after = isAppend ? [...new Set([...before, ...given])] : before.filter((item) => !given.includes(item));
  next.set(name, after.join(","));
  return undefined;
}

/** Undefined when every value fits. */
export function tooLong(configs: Texts): ConfigProblem | undefined {
  for (const [name, value] of configs) {
    if (Buffer.byteLength(value) <= valueBytesMax) continue;
    const message = `The configuration value of ${name} cannot be added because it exceeds the maximum value size of ${valueBytesMax} bytes.`;
    return { error: "INVALID_CONFIG", message };
  }
  return undefined;
}

function invalid(message: string): ConfigProblem {
  return { error: "INVALID_REQUEST", message };
}

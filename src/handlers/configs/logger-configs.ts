/** Log levels as configs of the resource BROKER_LOGGER: of this process, from now until it ends. */
import { configSourceCodes, configTypeCodes } from "../../../schemas/kafka-configs.ts";
import { type LogComponent, type LogLevel, type LogLevels, logComponents, logLevels } from "../../base/log-levels.ts";
import { type ConfigOperation, type ConfigProblem, configOperations } from "./config-change.ts";
import type { ShownConfig } from "./config-layers.ts";

const rootLogger = "root";

export function shownLoggers(levels: LogLevels): readonly ShownConfig[] {
  return [rootLogger, ...logComponents].map((name) => ({
    name,
    value: levels.of(name).toUpperCase(),
    readOnly: false,
    configSource: configSourceCodes["dynamic-broker-logger"],
    isSensitive: false,
    synonyms: [],
    configType: configTypeCodes.string,
    documentation:
      name === rootLogger ? "Level of every component without one of its own." : `Level of the component ${name}.`,
  }));
}

/** All operations or none; with `validateOnly` none. */
export function changeLoggers(
  levels: LogLevels,
  operations: readonly ConfigOperation[],
  validateOnly: boolean,
): ConfigProblem | undefined {
  for (const operation of operations) {
    const problem = operationProblem(operation);
    if (problem !== undefined) return problem;
  }
  if (validateOnly) return undefined;
  for (const { name, value, configOperation } of operations) {
    const level = configOperation === configOperations.delete ? undefined : levelOf(value);
    if (name !== rootLogger) levels.set(name as LogComponent, level);
    else if (level !== undefined) levels.root = level;
  }
  return undefined;
}

function operationProblem({ name, value, configOperation }: ConfigOperation): ConfigProblem | undefined {
  const isKnown = name === rootLogger || logComponents.some((component) => component === name);
  if (!isKnown) return { error: "INVALID_CONFIG", message: `Logger ${name} does not exist!` };
  if (configOperation === configOperations.delete) {
    const message = "Removing the log level of the root logger is not allowed";
    return name === rootLogger ? { error: "INVALID_REQUEST", message } : undefined;
  }
  if (configOperation !== configOperations.set) {
    const verb = configOperation === configOperations.append ? "APPEND" : "SUBTRACT";
    return { error: "INVALID_REQUEST", message: `${verb} operation is not allowed for the BROKER_LOGGER resource` };
  }
  if (levelOf(value) !== undefined) return undefined;
  const valid = logLevels.map((level) => level.toUpperCase()).join(", ");
  const message = `Cannot set the log level of ${name} to ${value} as it is not a supported log level. Valid log levels are ${valid}`;
  return { error: "INVALID_CONFIG", message };
}

function levelOf(value: string | null): LogLevel | undefined {
  return logLevels.find((level) => level.toUpperCase() === value);
}

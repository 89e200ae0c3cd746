/** Which configs a group and a subscription to client metrics may have. Pure. */

import type { ConfigRow } from "../../../schemas/kafka-configs.ts";
import {
  clientMetricsConfigs,
  groupConfigs,
  groupSessionHeartbeats,
  shareLockMs,
} from "../../../schemas/kafka-group-configs.ts";
import { configProblem } from "../../log/config-check.ts";
import { parseClientMatch } from "../client-metrics/client-match.ts";
import { type ConfigChange, type ConfigProblem, type ConfigSetCheck, tooLong } from "./config-change.ts";

export interface GroupConfigLimits {
  readonly shareLockMsMin: number;
  /** This broker's own settings under Kafka's names: groups have them until they are told otherwise. */
  readonly brokerStatic: ReadonlyMap<string, string>;
}

export function groupConfigSetCheck({ shareLockMsMin, brokerStatic }: GroupConfigLimits): ConfigSetCheck {
  const lock = "share.record.lock.duration.ms";
  const rows = {
    ...groupConfigs,
    [lock]: { ...(groupConfigs[lock] as ConfigRow), check: shareLockMs(shareLockMsMin) },
  };
  return (given) => {
    const checked = checkRows(given, rows, "group");
    if ("error" in checked) return checked;
    const value = (name: string): number =>
      Number(checked.configs.get(name) ?? brokerStatic.get(`group.${name}`) ?? groupConfigs[name]?.default);
    for (const [session, heartbeat] of groupSessionHeartbeats) {
      if (value(session) <= value(heartbeat)) return invalid(`${session} must be greater than ${heartbeat}`);
    }
    return checked;
  };
}

export const checkClientMetricsConfigSet: ConfigSetCheck = (given) => {
  const checked = checkRows(given, clientMetricsConfigs, "client metrics");
  if ("error" in checked) return checked;
  const match = parseClientMatch(checked.configs.get("match") ?? "");
  return "problem" in match ? invalid(match.problem) : checked;
};

function checkRows(
  given: ReadonlyMap<string, string | null>,
  table: Readonly<Record<string, ConfigRow>>,
  what: string,
): ConfigChange {
  const configs = new Map<string, string>();
  for (const [name, text] of given) {
    const row = Object.hasOwn(table, name) ? table[name] : undefined;
    if (row === undefined) return invalid(`Unknown ${what} config name: ${name}`);
    if (text === null) return invalid(`Null value not supported for ${what} configs: ${name}`);
    const problem = configProblem(name, text, row);
    if (problem !== undefined) return invalid(problem);
    configs.set(name, text);
  }
  return tooLong(configs) ?? { configs };
}

function invalid(message: string): ConfigProblem {
  return { error: "INVALID_CONFIG", message };
}

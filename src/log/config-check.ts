/** Whether a text is a value of a config, and if not, why, in Kafka's words. */
import type { ConfigCheck, ConfigRow } from "../../schemas/kafka-configs.ts";

/** Undefined when the value is good. */
export function configProblem(name: string, value: string, row: ConfigRow): string | undefined {
  const because =
    typeProblem(value, row.type) ?? (row.check === undefined ? undefined : checkProblem(value, row.check));
  return because === undefined ? undefined : `Invalid value ${value} for configuration ${name}: ${because}`;
}

/** A good value as Kafka shows it: what it was read as, written again. */
export function shownConfigText(value: string, type: ConfigRow["type"]): string {
  const text = value.trim();
  switch (type) {
    case "boolean":
      return text.toLowerCase();
    case "short":
    case "int":
    case "long":
      return BigInt(text.replace("+", "")).toString();
    case "double":
      return Number.isInteger(Number(text)) ? `${Number(text)}.0` : `${Number(text)}`;
    case "list":
      return [...new Set(listItems(value))].join(",");
    case "string":
    case "class":
    case "password":
      return text;
  }
}

/** Names without blanks around them; an empty text is an empty list. */
export function listItems(value: string): readonly string[] {
  return value.trim() === "" ? [] : value.split(",").map((item) => item.trim());
}

const integerBounds = {
  short: [-(2n ** 15n), 2n ** 15n - 1n],
  int: [-(2n ** 31n), 2n ** 31n - 1n],
  long: [-(2n ** 63n), 2n ** 63n - 1n],
} as const;

function typeProblem(value: string, type: ConfigRow["type"]): string | undefined {
  const text = value.trim();
  switch (type) {
    case "boolean":
      return /^(true|false)$/i.test(text) ? undefined : "Expected value to be either true or false";
    case "short":
    case "int":
    case "long": {
      const [min, max] = integerBounds[type];
      const isInside =
        /^[+-]?\d{1,20}$/.test(text) && BigInt(text.replace("+", "")) >= min && BigInt(text.replace("+", "")) <= max;
      return isInside ? undefined : `Not a number of type ${type.toUpperCase()}`;
    }
    case "double":
      return text !== "" && Number.isFinite(Number(text)) ? undefined : "Not a number of type DOUBLE";
    case "string":
    case "list":
    case "class":
    case "password":
      return undefined;
  }
}

function checkProblem(value: string, check: ConfigCheck): string | undefined {
  switch (check.kind) {
    case "at-least":
      return Number(value) < check.min ? `Value must be at least ${check.min}` : undefined;
    case "between":
      if (Number(value) < check.min) return `Value must be at least ${check.min}`;
      return Number(value) > check.max ? `Value must be no more than ${check.max}` : undefined;
    case "one-of":
      return check.values.includes(value.trim()) ? undefined : `String must be one of: ${check.values.join(", ")}`;
    case "list-of":
      return listProblem(listItems(value), check.values);
    case "gzip-level":
      return Number(value) === -1 || (Number(value) >= 1 && Number(value) <= 9)
        ? undefined
        : "Value must be between 1 and 9 or equal to -1";
    case "offset-reset":
      return isOffsetReset(value.trim())
        ? undefined
        : "Must be latest, earliest, or by_duration:PnDTnHnMn.nS with a duration that is not negative";
    case "throttled-replicas":
      return isThrottledReplicas(value)
        ? undefined
        : "Must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...";
  }
}

function listProblem(items: readonly string[], allowed: readonly string[]): string | undefined {
  const stranger = items.find((item) => !allowed.includes(item));
  return stranger === undefined ? undefined : `String must be one of: ${allowed.join(", ")}`;
}

function isThrottledReplicas(value: string): boolean {
  const items = listItems(value);
  if (items.length === 1 && items[0] === "*") return true;
  return items.every((item) => /^\d+:\d+$/.test(item));
}

function isOffsetReset(text: string): boolean {
  if (text === "latest" || text === "earliest") return true;
  return /^by_duration:P(?=\d|T\d)(?:\d{1,9}D)?(?:T(?=\d)(?:\d{1,9}H)?(?:\d{1,9}M)?(?:\d{1,9}(?:\.\d{1,9})?S)?)?$/i.test(
    text,
  );
}

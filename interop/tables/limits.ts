/** What engines cannot do, each with the engine's own words: tests ask for them, so that a newer engine is noticed. */
import type { TypeRow } from "../../src/table/schema/type-table.ts";
import type { EngineName } from "./engines.ts";
import type { Topic } from "./topics.ts";

interface Refusal {
  readonly engine: EngineName;
  /** As docs/engines.md says it. */
  readonly what: string;
  readonly error: RegExp;
}

const tableRefusals: readonly (Refusal & { readonly isOf: (topic: Topic) => boolean })[] = [
  {
    engine: "PyIceberg",
    what: "tables with equality deletes that are not resolved yet",
    isOf: ({ write }) => write !== "append",
    error: /PyIceberg does not yet support equality deletes/,
  },
];

/** Why the engine reads nothing of the topic's table. */
export function refusalOf(engine: EngineName, topic: Topic): Refusal | undefined {
  return tableRefusals.find((refusal) => refusal.engine === engine && refusal.isOf(topic));
}

const timeRefusals: readonly Refusal[] = [
  {
    engine: "Spark",
    what: "tables with a column of type time, whatever is asked of them",
    error: /Spark does not support time fields/,
  },
];

/** Why the engine reads nothing of a table with columns of these types. */
export function tableLimitOf(engine: EngineName, types: readonly TypeRow[]): Refusal | undefined {
  const hasTime = types.some(({ column }) => column === "time");
  return hasTime ? timeRefusals.find((limit) => limit.engine === engine) : undefined;
}

interface ColumnLimit {
  readonly engine: EngineName;
  readonly is: (type: TypeRow) => boolean;
  readonly what: string;
}

/** Types that an engine reads as other values. */
const columnLimits: readonly ColumnLimit[] = [
  {
    engine: "Flink",
    // Of milliseconds there is nothing to lose.
    is: ({ column, type }) => column === "time" && !/millis|Connect/.test(type),
    what: "times of day to milliseconds",
  },
];

export function columnLimitOf(engine: EngineName, type: TypeRow): ColumnLimit | undefined {
  return columnLimits.find((limit) => limit.engine === engine && limit.is(type));
}

/** What docs/engines.md must say. */
export const allLimits: readonly { readonly engine: EngineName; readonly what: string }[] = [
  ...tableRefusals,
  ...timeRefusals,
  ...columnLimits,
];

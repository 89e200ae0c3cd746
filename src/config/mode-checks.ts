/** Write modes and layouts that could not be right, whatever records come. Pure. */
import type { TableSettings } from "../table/settings.ts";

export interface ModeProblem {
  /** Below the topic. */
  readonly at: readonly string[];
  readonly message: string;
  readonly fix: string;
}

export function modeProblems(table: TableSettings): readonly ModeProblem[] {
  const { mode } = table;
  const layout = layoutProblems(table);
  if (mode.write === "append") return [...layout, ...appendProblems(table)];
  return [...layout, ...envelopeProblems(table), ...keyProblems(table), ...tombstoneProblems(table)];
}

/** Only columns at the top identify rows, and a column inside another is named with it. */
function layoutProblems({ mode, key, value, ...table }: TableSettings): readonly ModeProblem[] {
  const problems: ModeProblem[] = [];
  const keyIdentifies = mode.write !== "append" && mode.key.length === 0;
  if (keyIdentifies && key.columns === "nested") {
    const message = "the fields of the Kafka key identify rows, and only columns at the top do";
    problems.push({
      at: ["key", "columns"],
      message,
      fix: "say columns: flat, or name columns of the value in mode.key",
    });
  }
  if (value.layout !== "nested") return problems;
  if (mode.write !== "append" && mode.key.length > 0) {
    const message = `${mode.key.join(", ")} would lie inside the column value, and only columns at the top identify rows`;
    problems.push({ at: ["mode", "key"], message, fix: "say value.layout: flat, or leave mode.key out" });
  }
  const named = { partition_by: table.partitionBy, sort_by: table.sortBy };
  for (const [setting, fields] of Object.entries(named)) {
    for (const { column } of fields) {
      if (column === "" || /^(value|_extra)(\.|$)/.test(column) || column.startsWith(`${table.metadataPrefix}_`))
        continue;
      const message = `${column} lies inside the column value`;
      problems.push({ at: ["layout", setting], message, fix: `write value.${column}` });
    }
  }
  return problems;
}

function appendProblems({ mode }: TableSettings): readonly ModeProblem[] {
  const problems: ModeProblem[] = [];
  if (mode.key.length > 0) problems.push(problem("key", "an append table has no key", "say write: upsert or cdc"));
  if (mode.envelope !== "none")
    problems.push(problem("envelope", "append keeps envelopes as they are", "say write: cdc"));
  return problems;
}

function envelopeProblems({ mode, value }: TableSettings): readonly ModeProblem[] {
  const isChange = mode.write === "cdc";
  if (isChange && mode.envelope === "none")
    return [problem("envelope", "cdc needs to know the envelope", "say envelope: debezium or op-field")];
  if (!isChange && mode.envelope !== "none")
    return [problem("envelope", "upsert reads no envelope", "say write: cdc, or envelope: none")];
  if (isChange && (value.decode === "raw" || value.decode === "string"))
    return [problem("envelope", `value.decode: ${value.decode} has no fields to find it in`, "say json or schema-id")];
  return [];
}

function keyProblems({ mode, value, metadataColumns }: TableSettings): readonly ModeProblem[] {
  if (mode.key.length === 0 && !metadataColumns.includes("key")) {
    const fix = "add it there, or name columns of the value in mode.key";
    return [problem("key", "rows are identified by the Kafka key, which columns.metadata.include leaves out", fix)];
  }
  if (mode.key.length > 0 && (value.decode === "raw" || value.decode === "string")) {
    return [
      problem("key", `value.decode: ${value.decode} has no columns ${mode.key.join(", ")}`, "leave mode.key out"),
    ];
  }
  const [twice] = mode.key.filter((name, at) => name === "" || mode.key.indexOf(name) !== at);
  return twice === undefined ? [] : [problem("key", `"${twice}" is named twice or empty`, "name each column once")];
}

/** A tombstone has no value: what identifies its row must be in the Kafka key. */
function tombstoneProblems({ mode, key }: TableSettings): readonly ModeProblem[] {
  if (mode.key.length === 0 || mode.tombstone === "ignore" || key.decode === "schema-id") return [];
  if (key.decode === "json") return [];
  if (key.decode === "string" && mode.key.length === 1) return [];
  const message = `a tombstone has only its Kafka key, and key.decode: ${key.decode} does not give ${mode.key.join(", ")}`;
  return [
    problem("tombstone", message, "say tombstone: ignore, or key.decode: schema-id or json, or leave mode.key out"),
  ];
}

function problem(name: string, message: string, fix: string): ModeProblem {
  return { at: ["mode", name], message, fix };
}

/** Plans a table of a topic under settings that are not in force: those of a request, or the broker's own. */
import { OperationFailed } from "./base/errors.ts";
import { ConfigRefused } from "./config/problem.ts";
import { type Config, readConfig } from "./config.ts";
import type { Topic } from "./metadata/image.ts";
import type { ToolAnswer } from "./server/table-tool-routes.ts";
import type { TableSettings } from "./table/settings.ts";
import { type PlanDeps, planTable } from "./table/tools/table-plan.ts";

export async function answerPlan(
  name: string,
  /** The topic's block of the YAML file; undefined: as it is configured here. */
  block: unknown,
  topic: Topic | undefined,
  configured: Config["tables"],
  deps: PlanDeps,
): Promise<ToolAnswer> {
  if (topic === undefined) return { kind: "missing", reason: `there is no topic ${name}` };
  try {
    const settings = block === undefined ? configured.find((table) => table.topic === name) : settingsOf(name, block);
    if (settings === undefined)
      return { kind: "missing", reason: `topic ${name} is not in the broker's configuration: give a file that has it` };
    return { kind: "ok", detail: { topic: name, ...(await planTable(settings, topic, deps)) } };
  } catch (cause) {
    if (cause instanceof ConfigRefused) return { kind: "invalid", reason: cause.message };
    if (cause instanceof OperationFailed) return { kind: "refused", reason: cause.message };
    throw cause;
  }
}

/** As the file would be read; which catalog it names does not matter to a plan. */
function settingsOf(name: string, block: unknown): TableSettings | undefined {
  const own = typeof block === "object" && block !== null ? (block as Readonly<Record<string, unknown>>) : {};
  const table =
    typeof own["table"] === "object" && own["table"] !== null ? { ...own["table"], catalog: undefined } : {};
  const text = JSON.stringify({ topics: { [name]: { ...own, table } } });
  const file = { name: "the request", text };
  const config = readConfig({ file, environment: {}, flags: new Map(), readFile: () => undefined });
  return config.tables.find((each) => each.topic === name);
}

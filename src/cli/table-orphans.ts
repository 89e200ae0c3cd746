/** inlet table orphans: what lies with a table's files and belongs to nothing. */
import { callAdmin } from "./admin-api.ts";
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes, printJson } from "./output.ts";

export const orphansHelp = `
Crashes, lost commits and rewrites that came too late leave files that no snapshot of the table names. The broker removes
them by itself once they are old (maintain.orphans); this command shows them, or removes them now.

Nothing is removed without --delete, when anything that names files cannot be read, or when the table's directory is not
its own. It ends with 1 where nothing was looked for, and says why.`;

export interface OrphanOptions {
  readonly delete?: boolean;
  readonly olderThan?: string;
}

interface Found {
  readonly listed: number;
  readonly orphans: number;
  readonly bytes: number;
  readonly examples: readonly string[];
  readonly held: string;
}

type State = { readonly olderThan: string; readonly delete: boolean } & (
  | { readonly state: "running" }
  | { readonly state: "done"; readonly result: Found }
  | { readonly state: "failed"; readonly error: string }
);

export async function tableOrphans(context: Context, topic: string, options: OrphanOptions): Promise<void> {
  const path = `/v1/tables/${encodeURIComponent(topic)}/orphans`;
  const query = new URLSearchParams({ delete: String(options.delete === true) });
  if (options.olderThan !== undefined) query.set("older_than", options.olderThan);
  await callAdmin(context, "POST", `${path}?${query.toString()}`);
  let state = (await callAdmin(context, "GET", path)) as State;
  while (state.state === "running") {
    context.terminal.error("inlet: still looking\n");
    state = (await callAdmin(context, "GET", path)) as State;
  }
  if (state.state === "failed") throw new CommandFailed(`orphans of ${topic} could not be found: ${state.error}`);
  const { result, olderThan } = state;
  if (context.format === "json") printJson(context.terminal, { topic, olderThan, delete: state.delete, ...result });
  else if (result.held === "") context.terminal.out(wordsOf(result, state));
  if (result.held !== "") throw new CommandFailed(`orphans were not looked for: ${result.held}`, exitCodes.failed);
}

function wordsOf(found: Found, asked: { readonly olderThan: string; readonly delete: boolean }): string {
  const { orphans, bytes, listed, examples } = found;
  const lines = examples.map((uri) => `  ${uri}`);
  if (orphans > examples.length) lines.push(`  and ${orphans - examples.length} more`);
  const what = `${orphans} of ${listed} files, ${bytes} bytes, are named by nothing and older than ${asked.olderThan}`;
  const done =
    orphans === 0 ? "" : asked.delete ? "\nThey were deleted." : "\nThey are still there: --delete removes them.";
  return `${[what, ...lines].join("\n")}${done}\n`;
}

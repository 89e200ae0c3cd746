/** Follows work that the broker does in the background: one path starts it, and says how far it is. */
import { callAdmin } from "./admin-api.ts";
import type { Context } from "./context.ts";
import { CommandFailed, printJson } from "./output.ts";

type State<Progress, Result> =
  | { readonly state: "running"; readonly progress: Progress | null }
  | { readonly state: "done"; readonly result: Result }
  | { readonly state: "failed"; readonly error: string };

export interface LongRun<Progress> {
  readonly path: string;
  /** Else it is started, or joined, and left. */
  readonly wait: boolean;
  readonly body?: unknown;
  /** Of progress, for the terminal. */
  readonly words: (progress: Progress) => string;
  /** Before the reason, should it fail. */
  readonly failed: string;
}

/** undefined: it was only started. */
export async function followRun<Progress, Result>(
  context: Context,
  { path, wait, body, words, failed }: LongRun<Progress>,
): Promise<Result | undefined> {
  const started = await callAdmin(context, "POST", path, body);
  if (!wait) {
    printJson(context.terminal, started);
    return undefined;
  }
  let state = (await callAdmin(context, "GET", path)) as State<Progress, Result>;
  while (state.state === "running") {
    if (state.progress !== null) context.terminal.error(`inlet: ${words(state.progress)}\n`);
    state = (await callAdmin(context, "GET", path)) as State<Progress, Result>;
  }
  if (state.state === "failed") throw new CommandFailed(`${failed}: ${state.error}`);
  return state.result;
}

/** The other writer's process, started and told what to do; one thing at a time. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { ForeignOutcome, ForeignTask } from "./foreign-writer.ts";

export interface ForeignProcess extends AsyncDisposable {
  /** Rejects when it failed for another reason than that others were faster. */
  run(task: ForeignTask): Promise<ForeignOutcome>;
}

type Answer = { readonly outcome: ForeignOutcome } | { readonly error: string };

export async function startForeignWriter(catalogUrl: string, warehouse: string): Promise<ForeignProcess> {
  const child = fork(join(import.meta.dirname, "foreign-writer.ts"), [catalogUrl, warehouse]);
  await once(child, "message");
  return {
    async run(task) {
      const answered = once(child, "message") as Promise<[Answer]>;
      child.send(task);
      const [answer] = await answered;
      if ("error" in answer) throw new Error(`the foreign writer could not ${task.action}: ${answer.error}`);
      return answer.outcome;
    },
    async [Symbol.asyncDispose]() {
      const exited = once(child, "exit");
      child.disconnect();
      await exited;
    },
  };
}

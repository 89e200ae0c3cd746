/** The worker's side of rewrite-thread.ts, where its messages are drawn. One job at a time. */
import { parentPort } from "node:worker_threads";
import { assert, unreachable } from "../../base/errors.ts";
import { RewriteCore } from "./rewrite-core.ts";
import type { FromRewriteWorker, ToRewriteWorker } from "./rewrite-thread.ts";

const port = parentPort;
assert(port !== null, "this file runs as a worker");
let job: RewriteCore | undefined;

port.on("message", (message: ToRewriteWorker) => {
  if (message.kind === "end") {
    job = undefined; // The thread may wait for its next job: nothing of this one stays in memory.
    return;
  }
  const reply = answer(message);
  const buffers = reply.kind === "result" ? reply.result.files.map(({ bytes }) => bytes.buffer as ArrayBuffer) : [];
  port.postMessage(reply, buffers);
});

function answer(message: Exclude<ToRewriteWorker, { readonly kind: "end" }>): FromRewriteWorker {
  try {
    switch (message.kind) {
      case "begin":
        job = new RewriteCore(message.plan, message.limits);
        return { kind: "answer", answer: { kind: "added" } };
      case "delete":
        return { kind: "answer", answer: open().addDelete(message.input) };
      case "file":
        return { kind: "answer", answer: open().add(message.input) };
      case "taken":
        return { kind: "rows", answer: open().taken(message.input) };
      case "finish":
        return { kind: "result", result: open().finish() };
      default:
        return unreachable(message);
    }
  } catch (error) {
    return { kind: "failed", error };
  }
}

function open(): RewriteCore {
  assert(job !== undefined, "a job has begun");
  return job;
}

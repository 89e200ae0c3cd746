/** The worker's side of translate-pool.ts, where its messages are drawn. */
import { parentPort } from "node:worker_threads";
import { assert, unreachable } from "../../base/errors.ts";
import type { RangeInput, RoundResult } from "./translate.ts";
import type { FromWorker, ToWorker } from "./translate-pool.ts";
import { RoundCore } from "./translate-round.ts";

interface OpenRound {
  readonly core: RoundCore;
  /** The range of the last add, in case that it must be added again with what it asked for. */
  range: RangeInput | undefined;
}

const port = parentPort;
assert(port !== null, "this file runs as a worker");
const rounds = new Map<number, OpenRound>();

port.on("message", (message: ToWorker) => {
  if (message.kind === "begin") {
    rounds.set(message.round, { core: new RoundCore(message.plan, message.limits), range: undefined });
    return;
  }
  if (message.kind === "end") {
    rounds.delete(message.round);
    return;
  }
  try {
    const reply = answer(message);
    port.postMessage(reply, [...transferOf(reply)]);
  } catch (error) {
    port.postMessage({ kind: "failed", call: message.call, error } satisfies FromWorker);
  }
});

function answer(message: Exclude<ToWorker, { readonly kind: "begin" | "end" }>): FromWorker {
  const round = rounds.get(message.round);
  assert(round !== undefined, `round ${message.round} has begun and not ended`);
  switch (message.kind) {
    case "add":
      round.range = message.range;
      return add(round, message.call);
    case "texts":
      round.core.learn(message.brought);
      return add(round, message.call);
    case "touches":
      return { kind: "touches", call: message.call, touches: round.core.touches() };
    case "finish":
      return { kind: "result", call: message.call, result: round.core.finish(message.leaveOut) };
    default:
      return unreachable(message);
  }
}

function add(round: OpenRound, call: number): FromWorker {
  assert(round.range !== undefined, "texts follow an add");
  const outcome = round.core.add(round.range);
  if (outcome.kind !== "needs-texts" && outcome.kind !== "needs-latest") round.range = undefined;
  return { kind: "outcome", call, outcome };
}

function transferOf(reply: FromWorker): readonly ArrayBuffer[] {
  if (reply.kind === "touches") {
    const { keys, partitions, offsets, timestamps } = reply.touches;
    return [keys, partitions, offsets, timestamps].map((each) => each.buffer as ArrayBuffer);
  }
  if (reply.kind !== "result") return [];
  const result: RoundResult = reply.result;
  const files = [...result.files, result.deadLetterFile, result.deleteFile].filter((file) => file !== undefined);
  return files.map((file) => file.bytes.buffer as ArrayBuffer);
}

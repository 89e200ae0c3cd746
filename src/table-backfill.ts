/** Begins to bring a topic's history into its table, as the admin API asks for it. */
import { OperationFailed } from "./base/errors.ts";
import type { Topic } from "./metadata/image.ts";
import type { ToolAnswer } from "./server/table-tool-routes.ts";
import type { Compactor } from "./table/compactor.ts";
import { parsePlaces } from "./table/tools/at-offset.ts";
import type { BackfillRequest } from "./table/tools/backfill.ts";
import { type AtDeps, timestampOf } from "./table-at.ts";

/**
 * JSON as it came: fromOffset "partition:offset,…", fromTimestamp as milliseconds or RFC 3339, bytesPerSecond; `into` names a
 * table to build beside the topic's own, and `stop` ends that.
 */
export type BackfillBody = Readonly<Record<string, unknown>>;

/** A round of less would be nothing but overhead. */
const bytesPerSecondMin = 1024;

export async function answerBackfill(
  topic: string,
  body: BackfillBody,
  deps: Pick<AtDeps, "log" | "topic"> & { readonly compactor: Compactor },
): Promise<ToolAnswer> {
  const { bytesPerSecond = null } = body;
  const isRate = bytesPerSecond === null || (Number.isSafeInteger(bytesPerSecond) && Number(bytesPerSecond) > 0);
  if (!isRate || (bytesPerSecond !== null && Number(bytesPerSecond) < bytesPerSecondMin))
    return { kind: "invalid", reason: `the rate is at least ${bytesPerSecondMin} bytes a second` };
  const into = textOf(body["into"]);
  try {
    if (body["stop"] === true) {
      if (into === undefined) return invalid("only a table that is built beside the topic's own can be stopped");
      await deps.compactor.stopBeside(topic, into);
      return { kind: "ok", detail: { topic, into, state: "stopped" } };
    }
    const from = await fromOf(body, deps);
    if ("kind" in from) return from;
    const request = { from: from.places, bytesPerSecond: bytesPerSecond as number | null };
    return { kind: "ok", detail: { topic, ...(await deps.compactor.startBackfill(topic, request, into)) } };
  } catch (cause) {
    if (cause instanceof OperationFailed) return { kind: "refused", reason: cause.message };
    throw cause;
  }
}

async function fromOf(
  body: BackfillBody,
  { log, topic }: Pick<AtDeps, "log" | "topic">,
): Promise<{ readonly places: BackfillRequest["from"] } | ToolAnswer> {
  const [fromOffset, fromTimestamp] = [textOf(body["fromOffset"]), textOf(body["fromTimestamp"])];
  if (fromOffset !== undefined && fromTimestamp !== undefined) return invalid("say an offset or a timestamp, not both");
  if (fromOffset !== undefined) {
    const places = parsePlaces(fromOffset);
    if (places === undefined) return invalid(`"${fromOffset}" is not partition:offset, joined by commas`);
    return { places: new Map([...places].map(([partition, next]) => [partition, next - 1])) };
  }
  if (fromTimestamp === undefined) return { places: "earliest" };
  const timestamp = timestampOf(fromTimestamp);
  if (timestamp === undefined)
    return invalid(`"${fromTimestamp}" is neither milliseconds nor a time like 2026-01-31T12:00:00Z`);
  return { places: await offsetsAt(timestamp, log, topic) };
}

/** Of each partition the first record that is as young; one without any is left out. */
async function offsetsAt(
  timestamp: number,
  log: AtDeps["log"],
  topic: Topic | undefined,
): Promise<ReadonlyMap<number, number>> {
  const places = new Map<number, number>();
  for (const partition of (topic?.partitions ?? []).keys()) {
    const lookup = log.partition((topic as Topic).id, partition);
    if (lookup.kind !== "here") continue; // The backfill says itself which partitions it lacks.
    const { offset } = await lookup.partition.offsetFor({ kind: "at-or-after", timestamp }, "read-committed");
    if (offset >= 0) places.set(partition, offset);
  }
  return places;
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || typeof value === "string") return value;
  return typeof value === "number" ? String(value) : ""; // Which then is no place and no time.
}

function invalid(reason: string): ToolAnswer {
  return { kind: "invalid", reason };
}

/** Answers which snapshot of a table first holds given records of its topic. */
import { OperationFailed } from "./base/errors.ts";
import type { Uuid } from "./base/ids.ts";
import type { Log } from "./log/log.ts";
import type { Topic } from "./metadata/image.ts";
import type { ToolAnswer } from "./server/table-tool-routes.ts";
import { parseDateTime } from "./table/decode/time-text.ts";
import { placeColumns } from "./table/schema/schema-map.ts";
import { tableName, tableStateOf } from "./table/table-state.ts";
import { parsePlaces, snapshotAt, type Wanted } from "./table/tools/at-offset.ts";
import { sqlAt } from "./table/tools/at-sql.ts";
import { beginLane } from "./table/tools/backfill-plan.ts";
import type { Warehouse } from "./table/warehouse.ts";
import type { KnownTable } from "./table-tools.ts";

export interface AtRequest {
  readonly offset: string | null;
  readonly timestamp: string | null;
}

export interface AtDeps {
  readonly log: Log;
  readonly topic: Topic | undefined;
  readonly warehouse: Warehouse;
}

export async function answerAt(
  { settings, info, catalog }: KnownTable,
  request: AtRequest,
  deps: AtDeps,
): Promise<ToolAnswer> {
  const asked = await wantedOf(request, info.topicId, deps);
  if ("kind" in asked) return asked;
  const wanted = asked;
  const begin = info.lanes.get(beginLane);
  const behind = [...wanted].find(([partition, next]) => next > 0 && next <= (begin?.get(partition) ?? 0));
  if (behind !== undefined) {
    const reason = `the table began at offset ${begin?.get(behind[0])} of partition ${behind[0]}: marks do not say when a backfill brought what lies behind it`;
    return refused(reason);
  }
  const state = tableStateOf(info);
  const name = tableName(settings, info.generation);
  const loaded = await catalog.load(name);
  if (state === undefined || loaded === undefined) return refused(`${name.name} is not in its catalog`);
  const found = await snapshotAt(loaded.metadata, wanted, deps.warehouse);
  switch (found.kind) {
    case "none":
      return { kind: "missing", reason: "no snapshot of the table says which offsets it holds" };
    case "not-yet": {
      const at = [...found.offsets].map(([partition, next]) => `${partition}:${next - 1}`).join(",");
      return { kind: "missing", reason: `no snapshot holds these records yet; the newest goes up to ${at}` };
    }
    case "snapshot": {
      const place = placeColumns(state.mapping);
      const nameOf = (id: number): string => state.mapping.schema.fields.find((field) => field.id === id)?.name ?? "";
      const columns = { partition: nameOf(place.partition), offset: nameOf(place.offset) };
      const { snapshotId, offsets } = found;
      // Rows that came later took the place of others, which a condition would not bring back.
      const isKeyed = state.mapping.rowKey !== undefined;
      const isExact = !isKeyed || [...wanted].every(([partition, next]) => (offsets.get(partition) ?? 0) <= next);
      return {
        kind: "ok",
        detail: {
          topic: settings.topic,
          table: [...name.namespace, name.name].join("."),
          snapshotId: String(snapshotId),
          committedMs: found.committedMs,
          isFirst: found.isFirst,
          isExact,
          offsets: Object.fromEntries(offsets),
          sql: sqlAt({ ...name, snapshotId, wanted: isKeyed ? new Map() : wanted, offsets, columns }),
        },
      };
    }
  }
}

async function wantedOf(request: AtRequest, topicId: Uuid, deps: AtDeps): Promise<Wanted | ToolAnswer> {
  if ((request.offset === null) === (request.timestamp === null)) return invalid("say either an offset or a timestamp");
  if (request.offset !== null) {
    return parsePlaces(request.offset) ?? invalid(`"${request.offset}" is not partition:offset, joined by commas`);
  }
  const text = request.timestamp ?? "";
  const timestamp = timestampOf(text);
  if (timestamp === undefined) return invalid(`"${text}" is neither milliseconds nor a time like 2026-01-31T12:00:00Z`);
  return await offsetsUpTo(timestamp, topicId, deps);
}

/** Of each partition the first record that is younger; where there is none, the end. */
async function offsetsUpTo(timestamp: number, topicId: Uuid, { log, topic }: AtDeps): Promise<Wanted | ToolAnswer> {
  const wanted = new Map<number, number>();
  for (const partition of (topic?.partitions ?? []).keys()) {
    const lookup = log.partition(topicId, partition);
    if (lookup.kind !== "here") return refused(`partition ${partition} is not here: ask the broker that has it`);
    const { lastStable } = lookup.partition;
    try {
      const query = { kind: "at-or-after", timestamp: timestamp + 1 } as const;
      const { offset } = await lookup.partition.offsetFor(query, "read-committed");
      wanted.set(partition, offset < 0 ? lastStable : offset);
    } catch (cause) {
      if (cause instanceof OperationFailed) return refused(cause.message);
      throw cause;
    }
  }
  return wanted;
}

/** Milliseconds, or a time in words; undefined: it is neither. */
export function timestampOf(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : millisOf(text);
}

function millisOf(text: string): number | undefined {
  const micros = parseDateTime(text);
  return micros === undefined ? undefined : Number(micros / 1000n);
}

function invalid(reason: string): ToolAnswer {
  return { kind: "invalid", reason };
}

function refused(reason: string): ToolAnswer {
  return { kind: "refused", reason };
}

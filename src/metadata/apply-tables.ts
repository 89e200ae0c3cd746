/**
 * What table events do to the image (ARCHITECTURE.md, one table commit).
 *
 *   lane of a partition   |── committed ──|── pending rounds ──|── next round must begin here
 */
import type { Offset, Seq } from "../base/ids.ts";
import { type ApplyContext, refuse, type Verdict } from "./apply-context.ts";
import type { RoundManifest, TableEvent, TableRange } from "./events.ts";
import type { PendingRound } from "./image.ts";
import { type ImageState, type TableState, tableWith } from "./image-state.ts";

/** A committer that has been away for this many rounds is an alarm, not a reason to grow on. */
const pendingRoundsMax = 10_000;

/**
 * Its rounds pick records out of ranges that others have passed, again and again. What keeps them from picking one twice is
 * the table's schema state, which names what was picked and is proposed with them under its expected version.
 */
const replayLane = "replay";

type EventOf<K extends TableEvent["kind"]> = Extract<TableEvent, { readonly kind: K }>;

export function applyTableEvent(image: ImageState, event: TableEvent, context: ApplyContext): Verdict {
  if (event.kind === "create-table") return applyCreateTable(image, event, context);
  const table = image.tableStates.get(event.table);
  if (table === undefined) return refuse("missing", `table ${event.table}`);
  const replace = (change: Partial<TableState>): undefined =>
    context.undo.set(image.tableStates, table.id, tableWith(table, change)) as undefined;
  switch (event.kind) {
    case "add-table-round": {
      const refusal = refusalOfRound(table, event, context.seq);
      return refusal ?? replace(withRound(table, event, context));
    }
    case "replace-table-round":
      return applyReplaceRound(table, event, context, replace);
    case "table-rounds-committed":
      return applyRoundsCommitted(table, event.upTo, replace);
    case "table-schema":
      if (event.expectedVersion !== table.schemaVersion)
        return refuse("stale-version", `the schema is at version ${table.schemaVersion}, not ${event.expectedVersion}`);
      return replace({ schemaVersion: table.schemaVersion + 1, schema: event.schema });
    case "table-state":
      return replace({ state: event.state, reason: event.reason });
  }
}

function applyCreateTable(image: ImageState, event: EventOf<"create-table">, context: ApplyContext): Verdict {
  if (image.tableStates.has(event.table)) return refuse("exists", `table ${event.table}`);
  if (!image.topicsById.has(event.topicId)) return refuse("missing", `topic ${event.topicId}`);
  if (event.generation < 1) return refuse("invalid", `generation ${event.generation}`);
  for (const other of image.tableStates.values()) {
    if (other.catalog === event.catalog && other.name === event.name) return refuse("exists", `table ${event.name}`);
  }
  context.undo.set(image.tableStates, event.table, newTable(event));
  return undefined;
}

function newTable(event: EventOf<"create-table">): TableState {
  return {
    id: event.table,
    topicId: event.topicId,
    generation: event.generation,
    catalog: event.catalog,
    name: event.name,
    state: "running",
    reason: "",
    schemaVersion: 0,
    schema: new Uint8Array(0),
    pending: [],
    translatedTo: new Map(),
    committedTo: new Map(),
    committedSeq: 0 as Seq,
    lanes: new Map(),
    committedLanes: new Map(),
  };
}

function refusalOfRound(table: TableState, event: EventOf<"add-table-round">, seq: Seq): Verdict {
  if (event.generation !== table.generation)
    return refuse("stale-version", `generation ${event.generation}, the table is at ${table.generation}`);
  if (table.pending.length >= pendingRoundsMax) return refuse("invalid", `${pendingRoundsMax} rounds are pending`);
  if (table.pending.at(-1)?.seq === seq) return refuse("invalid", "an entry adds one round to a table");
  if (event.ranges.length === 0) return refuse("invalid", "a round without ranges");
  const refusal = refusalOfManifests(event);
  if (refusal !== undefined) return refusal;
  const ends = new Map(table.lanes.get(event.lane));
  for (const range of event.ranges) {
    if (!isRange(range)) return refuse("invalid", `range of partition ${range.partition}`);
    const end = ends.get(range.partition) ?? range.from; // The first round of a partition begins where its log does.
    if (range.from !== end && event.lane !== replayLane)
      return refuse("gap", `partition ${range.partition} continues at ${end}, not ${range.from}`);
    ends.set(range.partition, range.to);
  }
  return undefined;
}

function refusalOfManifests(event: EventOf<"add-table-round" | "replace-table-round">): Verdict {
  for (const manifest of [event.main, event.deadLetters, event.deletes])
    if (manifest !== null && !isManifest(manifest)) return refuse("invalid", `manifest ${manifest.location}`);
  return undefined;
}

function isRange({ partition, from, to, skips }: TableRange): boolean {
  return partition >= 0 && from >= 0 && to >= from && skips >= 0 && skips <= to - from;
}

function isManifest({ location, bytes, rows }: RoundManifest): boolean {
  return location !== "" && bytes > 0 && rows >= 0;
}

function withRound(table: TableState, event: EventOf<"add-table-round">, context: ApplyContext): Partial<TableState> {
  const { kind: _, table: _id, generation: _generation, ...content } = event;
  const round: PendingRound = { seq: context.seq, nodeEpoch: context.nodeEpoch, ...content };
  return { pending: [...table.pending, round], lanes: advanced(table.lanes, [round]) };
}

/** Only its files, and what tells how they were made, may differ from the round's first translation. */
function applyReplaceRound(
  table: TableState,
  event: EventOf<"replace-table-round">,
  context: ApplyContext,
  replace: (change: Partial<TableState>) => undefined,
): Verdict {
  const index = table.pending.findIndex(({ seq }) => seq === event.seq);
  const before = table.pending[index];
  if (before === undefined) return refuse("missing", `no pending round has seq ${event.seq}`);
  const isSame =
    event.ranges.length === before.ranges.length &&
    event.ranges.every((range, at) => {
      const known = before.ranges[at];
      return (
        range.partition === known?.partition && range.from === known.from && range.to === known.to && isRange(range)
      );
    });
  if (!isSame) return refuse("gap", `round ${event.seq} covers other ranges`);
  const refusal = refusalOfManifests(event);
  if (refusal !== undefined) return refusal;
  const { kind: _, table: _id, ...content } = event;
  const round: PendingRound = { ...before, ...content, nodeEpoch: context.nodeEpoch };
  return replace({ pending: table.pending.with(index, round) });
}

/** What the committer found in the table. Said twice, or by two committers, it is the same. */
function applyRoundsCommitted(
  table: TableState,
  upTo: Seq,
  replace: (change: Partial<TableState>) => undefined,
): Verdict {
  if (upTo <= table.committedSeq) return undefined;
  const count = table.pending.findIndex(({ seq }) => seq === upTo) + 1;
  if (count === 0) return refuse("missing", `no pending round has seq ${upTo}`);
  const committedLanes = advanced(table.committedLanes, table.pending.slice(0, count));
  return replace({ pending: table.pending.slice(count), committedLanes, committedSeq: upTo });
}

type Lanes = ReadonlyMap<string, ReadonlyMap<number, Offset>>;

function advanced(lanes: Lanes, rounds: readonly PendingRound[]): Lanes {
  const moved = new Map(lanes);
  for (const { lane, ranges } of rounds) {
    const ends = new Map(moved.get(lane));
    for (const { partition, to } of ranges) ends.set(partition, to);
    moved.set(lane, ends);
  }
  return moved;
}

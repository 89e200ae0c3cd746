/**
 * The judge of a history: pure, each anomaly a function of its own. The names follow Jepsen's Kafka tests where they have
 * one; the definitions are ours. An empty answer means that every promise held.
 */
import type { FinalState, Flush, GroupOffset, History, PartitionName, Poll, SeenRecord, Send } from "./history.ts";
import { isTombstone, keyOf } from "./record.ts";

export type Anomaly =
  | "inconsistent-offsets"
  | "duplicate"
  | "lost"
  | "misplaced"
  | "unseen"
  | "phantom"
  | "refused-read"
  | "order"
  | "poll-skip"
  | "watermark"
  | "log-start"
  | "group-offset"
  | "topic-lost"
  | "object-missing"
  | "garbage"
  | "table-missing"
  | "table-twice"
  | "table-foreign"
  | "flush";

export interface Violation {
  readonly anomaly: Anomaly;
  readonly detail: string;
}

type Judged = Omit<History, "tick" | "final"> & { readonly final: FinalState };
type Check = (history: Judged) => readonly string[];

export function check(history: Judged): readonly Violation[] {
  return Object.entries(checks).flatMap(([anomaly, judge]) =>
    judge(history).map((detail) => ({ anomaly: anomaly as Anomaly, detail })),
  );
}

const checks: Readonly<Record<Anomaly, Check>> = {
  "inconsistent-offsets": inconsistentOffsets,
  duplicate: duplicates,
  lost,
  misplaced,
  unseen,
  phantom: phantoms,
  "refused-read": refusedReads,
  order,
  "poll-skip": pollSkips,
  watermark: watermarks,
  "log-start": logStarts,
  "group-offset": groupOffsets,
  "topic-lost": topicsLost,
  "object-missing": ({ final }) => final.objects.missing,
  garbage: ({ final }) => final.objects.unknown,
  "table-missing": tableMissing,
  "table-twice": tableTwice,
  "table-foreign": tableForeign,
  flush: flushes,
};

/** One place holds one value, whoever looks and whenever. */
function inconsistentOffsets(history: Judged): readonly string[] {
  const found: string[] = [];
  const values = new Map<string, string>();
  for (const { partition, offset, value } of logsRead(history)) {
    const at = `${partition}@${offset}`;
    const known = values.get(at);
    if (known === undefined) values.set(at, value);
    else if (known !== value) found.push(`${at} was ${known}, then ${value}`);
  }
  return found;
}

/** One value stands in one place: a producer's retry is not a second record. */
function duplicates(history: Judged): readonly string[] {
  const found: string[] = [];
  const places = new Map<string, string>();
  for (const { partition, offset, value } of logsRead(history)) {
    const at = `${partition}@${offset}`;
    const known = places.get(value);
    if (known === undefined) places.set(value, at);
    else if (known !== at) found.push(`${value} stands at ${known} and at ${at}`);
  }
  return found;
}

/** What was acked is in the log at the end, unless it was deleted; so is what a consumer was shown. */
function lost({ sends, polls, final }: Judged): readonly string[] {
  const found: string[] = [];
  for (const send of sends.filter(({ outcome }) => outcome === "acked")) {
    const log = final.logs.get(send.partition);
    const end = send.offset + send.values.length;
    if (log === undefined || end > log.highWatermark) {
      found.push(`acked ${send.values[0]} at ${send.partition}@${send.offset}, the log ends at ${log?.highWatermark}`);
    }
  }
  for (const { partition, records } of polls) {
    const last = records.at(-1);
    const end = final.logs.get(partition)?.highWatermark ?? 0;
    if (last !== undefined && last.offset >= end)
      found.push(`${partition}@${last.offset} was read, the log ends at ${end}`);
  }
  return found;
}

/** What was acked at an offset stands there. */
function misplaced({ sends, final }: Judged): readonly string[] {
  const values = new Map<string, string>();
  for (const [partition, { records }] of final.logs) {
    for (const { offset, value } of records) values.set(`${partition}@${offset}`, value);
  }
  return sends.flatMap((send) => {
    if (send.outcome !== "acked") return [];
    return send.values.flatMap((value, index) => {
      const at = `${send.partition}@${send.offset + index}`;
      const there = values.get(at); // undefined: deleted, or missed by another check.
      return there === undefined || there === value ? [] : [`${value} was acked at ${at}, which holds ${there}`];
    });
  });
}

/** From the log start to the high watermark a reader gets every offset, save for what cleaning may take. */
function unseen(history: Judged): readonly string[] {
  return [...history.final.logs].flatMap(([partition, { logStart, highWatermark, records }]) => {
    const read = new Set(records.map(({ offset }) => offset));
    const mayBeGone = cleanable(history, partition);
    const holes: string[] = [];
    for (let offset = logStart; offset < highWatermark; offset += 1) {
      if (!read.has(offset) && !mayBeGone(offset)) holes.push(`${partition}@${offset}`);
    }
    return holes.length === 0 ? [] : [`${holes.length} offsets cannot be read, the first ${holes[0]}`];
  });
}

/** Nothing is read that nobody sent there. */
function phantoms(history: Judged): readonly string[] {
  const sent = new Set(
    history.sends.flatMap(({ partition, values }) => values.map((value) => `${partition} ${value}`)),
  );
  return [...logsRead(history)].flatMap(({ partition, offset, value }) =>
    sent.has(`${partition} ${value}`) ? [] : [`${value} at ${partition}@${offset}`],
  );
}

/** What the broker said it did not append is nowhere. */
function refusedReads(history: Judged): readonly string[] {
  const refused = new Set(history.sends.flatMap((send) => (send.outcome === "refused" ? send.values : [])));
  return [...logsRead(history)].flatMap(({ partition, offset, value }) =>
    refused.has(value) ? [`${value} at ${partition}@${offset}`] : [],
  );
}

/** What one producer gave to one partition stands there in the order of giving. */
function order({ sends, final }: Judged): readonly string[] {
  const found: string[] = [];
  for (const [partition, { records }] of final.logs) {
    const at = new Map(records.map(({ offset, value }) => [value, offset]));
    const last = new Map<string, { readonly offset: number; readonly value: string }>();
    for (const send of sends.filter((each) => each.partition === partition)) {
      for (const value of send.values) {
        const offset = at.get(value);
        const before = last.get(send.producer);
        if (offset === undefined) continue;
        if (before !== undefined && offset <= before.offset) {
          found.push(`${value} at ${partition}@${offset} was sent after ${before.value} at ${before.offset}`);
        }
        last.set(send.producer, { offset, value });
      }
    }
  }
  return found;
}

/** A poll begins where it was asked to and leaves nothing out, save for what cleaning may have taken. */
function pollSkips(history: Judged): readonly string[] {
  const rules = new Map([...history.final.logs.keys()].map((name) => [name, cleanable(history, name)] as const));
  return history.polls.flatMap(({ consumer, partition, from, records }) => {
    const mayBeGone = rules.get(partition) ?? (() => false);
    let next = from;
    for (const [index, { offset }] of records.entries()) {
      for (; next < offset && mayBeGone(next); next += 1);
      if (offset !== next) return [`${consumer} read ${partition} from ${from}: record ${index} is at ${offset}`];
      next = offset + 1;
    }
    return [];
  });
}

/**
 * Whether a record may be missing from the log: in a compacted partition, when a later one has its key, or it is a tombstone.
 * What nobody knows the place of may be anywhere: a tombstone without an answer excuses its key, and an offset of which nobody
 * knows the record is excused.
 */
function cleanable(history: Judged, partition: PartitionName): (offset: number) => boolean {
  if (!history.final.compacted.has(partition)) return () => false;
  const keys = new Map<number, string>();
  const newest = new Map<string, number>();
  const excused = new Set<string>();
  const place = (offset: number, value: string): void => {
    const key = keyOf(value);
    if (key === undefined) return;
    keys.set(offset, key);
    // A tombstone is as good as replaced by itself.
    newest.set(key, Math.max(newest.get(key) ?? -1, isTombstone(value) ? offset + 1 : offset));
  };
  for (const { partition: name, offset, value } of logsRead(history)) if (name === partition) place(offset, value);
  for (const send of history.sends.filter((each) => each.partition === partition)) {
    for (const [index, value] of send.values.entries()) {
      if (send.outcome === "acked") place(send.offset + index, value);
      else if (send.outcome === "unknown" && isTombstone(value)) excused.add(keyOf(value) as string);
    }
  }
  return (offset) => {
    const key = keys.get(offset);
    return key === undefined || excused.has(key) || offset < (newest.get(key) as number);
  };
}

/** The high watermark never goes back, covers what was acked before, and bounds what is shown. */
function watermarks({ polls, sends, final }: Judged): readonly string[] {
  const found: string[] = [];
  for (const { partition, records, logStart, lastStable, highWatermark } of polls) {
    const last = records.at(-1);
    if (last !== undefined && last.offset >= highWatermark)
      found.push(`${partition}@${last.offset} is not below ${highWatermark}`);
    if (lastStable !== highWatermark)
      found.push(`${partition}: stable to ${lastStable} of ${highWatermark}, without transactions`);
    if (logStart > highWatermark) found.push(`${partition} starts at ${logStart}, beyond ${highWatermark}`);
  }
  for (const partition of final.logs.keys()) {
    const shown = polls
      .filter((poll) => poll.partition === partition)
      .map(({ begun, ended, highWatermark }) => ({ begun, ended, atLeast: highWatermark, seen: highWatermark }));
    const acked = sends
      .filter((send) => send.partition === partition && send.outcome === "acked")
      .map(({ begun, ended, offset, values }) => ({ begun, ended, atLeast: offset + values.length, seen: undefined }));
    found.push(...goneBack([...shown, ...acked]).map((detail) => `high watermark of ${partition} ${detail}`));
  }
  return found;
}

/**
 * The log start never goes back, and is at least what an acked deletion said. It passes what was asked to be deleted only
 * by retention, and that only for what the table holds.
 */
function logStarts({ polls, deletions, final }: Judged): readonly string[] {
  const found: string[] = [];
  for (const [partition, { logStart }] of final.logs) {
    const own = polls.filter((poll) => poll.partition === partition);
    const asked = deletions.filter((deletion) => deletion.partition === partition);
    const shown = own.map(({ begun, ended, logStart: start }) => ({ begun, ended, atLeast: start, seen: start }));
    const acked = asked
      .filter(({ outcome }) => outcome === "acked")
      .map(({ begun, ended, before }) => ({ begun, ended, atLeast: before, seen: undefined }));
    const last = { begun: Number.MAX_SAFE_INTEGER, ended: Number.MAX_SAFE_INTEGER, atLeast: logStart, seen: logStart };
    found.push(...goneBack([...shown, ...acked, last]).map((detail) => `log start of ${partition} ${detail}`));
    const most = Math.max(deletedBelow(deletions, partition), retainedBelow(final, partition));
    const shownMost = Math.max(logStart, ...own.map((poll) => poll.logStart));
    if (shownMost > most) found.push(`${partition} starts at ${shownMost}, nothing may be gone from ${most} on`);
  }
  return found;
}

/** The most that anybody asked to delete. */
function deletedBelow(deletions: Judged["deletions"], partition: PartitionName): number {
  return Math.max(0, ...deletions.filter((each) => each.partition === partition).map(({ before }) => before));
}

function retainedBelow({ table, retained, logs }: FinalState, partition: PartitionName): number {
  if (!retained.has(partition)) return 0;
  if (table.partitions.includes(partition)) return table.committedTo.get(partition) ?? 0;
  return logs.get(partition)?.highWatermark ?? 0;
}

/** Groups commit growing offsets here: what is read later is at least what was acked or read before, and was committed. */
function groupOffsets({ groupOffsets: all }: Judged): readonly string[] {
  const found: string[] = [];
  const byGroup = Map.groupBy(all, ({ group, partition }) => `${group} ${partition}`);
  for (const [name, offsets] of byGroup) {
    const committed = new Set(offsets.filter(({ outcome }) => outcome !== "read").map(({ offset }) => offset));
    const known = offsets.filter(({ outcome }) => outcome !== "unknown");
    found.push(...goneBack(known.map(sighting)).map((detail) => `committed offset of ${name} ${detail}`));
    for (const { outcome, offset } of offsets) {
      if (outcome === "read" && offset !== -1 && !committed.has(offset))
        found.push(`${name}: nobody committed ${offset}`);
    }
  }
  return found;
}

function sighting({ begun, ended, offset, outcome }: GroupOffset): Sighting {
  return { begun, ended, atLeast: offset, seen: outcome === "read" ? offset : undefined };
}

function topicsLost({ topics, final }: Judged): readonly string[] {
  return topics.flatMap(({ topic, outcome }) => (outcome === "acked" && !final.topics.has(topic) ? [topic] : []));
}

/** Every offset that the table claims to hold is in it, unless somebody asked to delete the record. */
function tableMissing({ final, deletions }: Judged): readonly string[] {
  const { table } = final;
  const rows = new Set(table.rows.map(({ partition, offset }) => `${partition}@${offset}`));
  return table.partitions.flatMap((partition) => {
    const committedTo = table.committedTo.get(partition) ?? 0;
    const missing: number[] = [];
    for (let offset = deletedBelow(deletions, partition); offset < committedTo; offset += 1) {
      if (!rows.has(`${partition}@${offset}`)) missing.push(offset);
    }
    const [first] = missing;
    return first === undefined ? [] : [`${missing.length} rows below ${committedTo}, the first ${partition}@${first}`];
  });
}

function tableTwice({ final }: Judged): readonly string[] {
  const seen = new Set<string>();
  return final.table.rows.flatMap(({ partition, offset }) => {
    const at = `${partition}@${offset}`;
    if (seen.has(at)) return [at];
    seen.add(at);
    return [];
  });
}

/** A row that is not the log's record of that place: another value, or beyond what the table claims to hold. */
function tableForeign(history: Judged): readonly string[] {
  const { table } = history.final;
  const values = new Map<string, string>();
  for (const { partition, offset, value } of logsRead(history)) values.set(`${partition}@${offset}`, value);
  return table.rows.flatMap(({ partition, offset, value }) => {
    const at = `${partition}@${offset}`;
    const logged = values.get(at); // undefined: deleted from the log before anybody read it.
    if (logged !== undefined && logged !== value) return [`row ${at} holds ${value}, the log ${logged}`];
    const end = table.committedTo.get(partition) ?? 0;
    return offset >= end ? [`row ${at} is not below ${end}`] : [];
  });
}

/** A flush holds what was acked before it, and never less than the flush before it. */
function flushes({ flushes: all, sends, final }: Judged): readonly string[] {
  return final.table.partitions.flatMap((partition) => {
    const flushed = all.flatMap(({ begun, ended, committedTo }: Flush) => {
      const to = committedTo.get(partition); // undefined: all was deleted before the table began.
      return to === undefined ? [] : [{ begun, ended, atLeast: to, seen: to }];
    });
    const acked = sends
      .filter((send: Send) => send.partition === partition && send.outcome === "acked")
      .map(({ begun, ended, offset, values }) => ({ begun, ended, atLeast: offset + values.length, seen: undefined }));
    return goneBack([...flushed, ...acked]).map((detail) => `the table of ${partition} ${detail}`);
  });
}

/** A value that only grows: known to be `atLeast` when the operation was over, and, if it was read, as it was `seen`. */
interface Sighting {
  readonly begun: number;
  readonly ended: number;
  readonly atLeast: number;
  readonly seen: number | undefined;
}

/** Every sight that is smaller than what was known before its operation began. */
function goneBack(sightings: readonly Sighting[]): readonly string[] {
  const byEnd = sightings.toSorted((a, b) => a.ended - b.ended);
  const byBegin = sightings.filter(({ seen }) => seen !== undefined).toSorted((a, b) => a.begun - b.begun);
  const found: string[] = [];
  let known = -1;
  let next = 0;
  for (const { begun, seen } of byBegin) {
    for (; next < byEnd.length && (byEnd[next] as Sighting).ended < begun; next += 1) {
      known = Math.max(known, (byEnd[next] as Sighting).atLeast);
    }
    if ((seen as number) < known) found.push(`went back from ${known} to ${seen}`);
  }
  return found;
}

function* logsRead({ polls, final }: Judged): Iterable<SeenRecord & { readonly partition: PartitionName }> {
  for (const { partition, records } of polls as readonly Poll[])
    for (const each of records) yield { partition, ...each };
  for (const [partition, { records }] of final.logs) for (const each of records) yield { partition, ...each };
}

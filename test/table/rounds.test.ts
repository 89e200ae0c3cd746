/** Proves: rounds follow one another without gap or overlap, commits take prefixes, and expiry keeps what settling needs. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NodeEpoch, Offset, Seq } from "../../src/base/ids.ts";
import type { PendingRound } from "../../src/metadata/image.ts";
import { expiredSnapshots } from "../../src/table/commit/expire.ts";
import type { Snapshot } from "../../src/table/iceberg/metadata.ts";
import { liveLane, markName, nextRanges, offsetsAfter, planCommit, tableRange } from "../../src/table/rounds.ts";
import { emptyTable, snapshot, withSnapshots } from "./iceberg/tables.ts";

const offset = (value: number) => value as Offset;

function round(
  seq: number,
  ranges: readonly (readonly [partition: number, from: number, to: number])[],
  lane = liveLane,
): PendingRound {
  return {
    lane,
    schemaId: 0,
    specId: 0,
    mappingVersion: 1,
    main: null,
    deadLetters: null,
    deletes: null,
    seq: seq as Seq,
    nodeEpoch: 1 as NodeEpoch,
    ranges: ranges.map(([partition, from, to]) => ({ partition, from: offset(from), to: offset(to), skips: 0 })),
  };
}

describe("next ranges", () => {
  const view = (logStart: number, lastStable: number) => [
    { partition: 3, logStart: offset(logStart), lastStable: offset(lastStable) },
  ];
  test.each([
    ["nothing new", 5, view(0, 5), []],
    ["what is stable", 5, view(0, 9), [{ partition: 3, from: 5, readFrom: 5, to: 9 }]],
    [
      "deleted records are part of the range, and not read",
      5,
      view(7, 9),
      [{ partition: 3, from: 5, readFrom: 7, to: 9 }],
    ],
    ["everything was deleted", 5, view(9, 8), [{ partition: 3, from: 5, readFrom: 9, to: 9 }]],
    [
      "a partition not met before begins where its log does",
      undefined,
      view(7, 9),
      [{ partition: 3, from: 7, readFrom: 7, to: 9 }],
    ],
    ["a log that begins after its end has nothing", undefined, view(9, 9), []],
  ])("%s", (_name, translatedTo, views, expected) => {
    const translated = new Map(translatedTo === undefined ? [] : [[3, offset(translatedTo)]]);
    expect(nextRanges(translated, views)).toEqual(expected);
  });

  test("M1: every offset is a row, a dead letter or a skip", () => {
    expect(tableRange({ partition: 0, from: offset(5), to: offset(9) }, { rows: 1, deadLetters: 2 })).toMatchObject({
      skips: 1,
    });
    expect(() => tableRange({ partition: 0, from: offset(5), to: offset(6) }, { rows: 1, deadLetters: 1 })).toThrow(
      "no more rows",
    );
  });
});

test("a commit is a prefix of what is pending after a seq", () => {
  const pending = [round(3, []), round(5, []), round(8, []), round(9, [])];
  const seqs = (since: number, roundsMax: number) =>
    planCommit(pending, since as Seq, { roundsMax }).map(({ seq }) => seq);
  expect(seqs(0, 10)).toEqual([3, 5, 8, 9]);
  expect(seqs(3, 2)).toEqual([5, 8]);
  expect(seqs(9, 2)).toEqual([]);
});

test("offsets after rounds are the ends of the live lane, whatever the backfill does", () => {
  const rounds = [
    round(3, [
      [0, 5, 9],
      [2, 0, 4],
    ]),
    round(5, [[0, 9, 12]]),
    round(6, [[0, 0, 99]], "backfill"),
  ];
  expect([
    ...offsetsAfter(
      new Map([
        [1, offset(7)],
        [0, offset(5)],
      ]),
      rounds,
    ),
  ]).toEqual([
    [0, 12],
    [1, 7],
    [2, 4],
  ]);
});

describe("expiry", () => {
  const hour = 3_600_000;
  const now = 1000 * hour;
  const day = 24 * hour;
  const settings = { keepMs: 7 * day, keepMin: 1 };
  /** A chain of snapshots, one every `stepMs`, the newest at `now`; all ours unless told. */
  function chain(count: number, stepMs: number, isOurs: (age: number) => boolean = () => true): readonly Snapshot[] {
    return Array.from({ length: count }, (_, index) => {
      const age = count - 1 - index;
      const summary = isOurs(age) ? { [markName]: "x" } : {};
      return snapshot(BigInt(index + 1), index === 0 ? null : BigInt(index), index + 1, {
        timestampMs: now - age * stepMs,
        summary,
      });
    });
  }
  const kept = (snapshots: readonly Snapshot[], table = withSnapshots(emptyTable, snapshots)) => {
    const gone = new Set(expiredSnapshots(table, settings, now));
    return snapshots.filter((each) => !gone.has(each["snapshot-id"]));
  };

  test("every snapshot for 6 hours", () => {
    expect(kept(chain(361, 60_000))).toHaveLength(361);
  });

  test("then one an hour, the newest of it, to seven days", () => {
    const ages = kept(chain(9 * 24 * 4, hour / 4)).map((each) => now - each["timestamp-ms"]);
    const old = ages.filter((age) => age > 6 * hour);
    expect(old.length).toBe(7 * 24 - 6);
    expect(Math.max(...ages)).toBeLessThanOrEqual(7 * day);
  });

  test("never more than a thousand", () => {
    expect(kept(chain(3000, 5_000)).length).toBe(1000);
  });

  test("of a table that is committed to for long, the same: behind what was expired nothing is forgotten", () => {
    const months = { keepMs: 60 * day, keepMin: 5 };
    let snapshots: readonly Snapshot[] = [];
    for (let count = 1; count <= 55 * 24 * 2; count += 1) {
      const more = { timestampMs: (count * hour) / 2, summary: { [markName]: "x" } };
      snapshots = [...snapshots, snapshot(BigInt(count), count === 1 ? null : BigInt(count - 1), count, more)];
      const gone = new Set(expiredSnapshots(withSnapshots(emptyTable, snapshots), months, more.timestampMs));
      snapshots = snapshots.filter((each) => !gone.has(each["snapshot-id"]));
    }
    expect(snapshots).toHaveLength(1000);
    const hours = snapshots.slice(0, -13).map((each) => Math.floor(each["timestamp-ms"] / hour));
    expect(new Set(hours).size).toBe(hours.length);
    expect(hours.at(-1) ?? 0).toBe((hours[0] ?? 0) + hours.length - 1);
  });

  test("never between main and our newest, however many others stand there", () => {
    const left = kept(chain(50, day, (age) => age >= 30));
    expect(left.map((each) => now - each["timestamp-ms"])).toContain(30 * day);
    expect(left).toHaveLength(31);
  });

  test("what a tag or a branch names stays, with the branch's own history", () => {
    const snapshots = chain(30, day);
    const side = snapshot(100n, 3n, 31, { timestampMs: now - 20 * day });
    const table = withSnapshots(emptyTable, snapshots);
    const refs = {
      ...table.refs,
      v1: { "snapshot-id": 2n, type: "tag" as const },
      audit: { "snapshot-id": 100n, type: "branch" as const },
    };
    const gone = expiredSnapshots({ ...table, snapshots: [...snapshots, side], refs }, settings, now);
    expect(gone).not.toContain(2n);
    expect(gone).not.toContain(100n);
    expect(gone).toContain(4n);
  });

  test("of a random history the current snapshot always stays", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(30),
        (count, hours, ours) => {
          const snapshots = chain(count, hours * hour, (age) => age >= ours);
          const ids = new Set(kept(snapshots).map((each) => each["snapshot-id"]));
          const newest = snapshots.findLast((each) => each.summary[markName] !== undefined);
          return ids.has(BigInt(count)) && (newest === undefined || ids.has(newest["snapshot-id"]));
        },
      ),
    );
  });
});

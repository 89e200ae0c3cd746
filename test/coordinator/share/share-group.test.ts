// Proves: members of a share group have every partition between them, evenly; what is written of a group is the group.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import { assignShared } from "../../../src/coordinator/share/share-assignor.ts";
import {
  emptyShareGroup,
  heartbeat,
  leave,
  type ShareGroup,
  uninitialized,
  withTopics,
} from "../../../src/coordinator/share/share-group.ts";
import {
  isShareGroupKey,
  replayShareGroup,
  shareGroupRecords,
  shareGroupTombstones,
} from "../../../src/coordinator/share/share-group-records.ts";
import type { StateRecord } from "../../../src/log/state-log.ts";

const idOf = (name: string): Uuid =>
  `00000000-0000-4000-8000-${name.charCodeAt(0).toString().padStart(12, "0")}` as Uuid;
const topic = (name: string) => ({ topicId: idOf(name), partitions: name.charCodeAt(0) - 96 });
const view = { topic, membersMax: 5 };
const beat = (memberId: string, memberEpoch: number, topics: readonly string[] | null) => ({
  memberId,
  memberEpoch,
  topics,
  rackId: null,
  clientId: "client",
  clientHost: "/127.0.0.1",
});

function accepted(group: ShareGroup, ...given: Parameters<typeof beat>) {
  const outcome = heartbeat(group, beat(...given), view);
  if (outcome.kind !== "accepted") throw new Error(outcome.error);
  return outcome;
}

function initialized(group: ShareGroup, names: readonly string[]): ShareGroup {
  return withTopics(group, uninitialized(group, names, topic));
}

describe("the assignor", () => {
  test("gives every partition to somebody, and nobody more than its share", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        (before, after, count) => {
          const partitions = new Map([[idOf("t"), Array.from({ length: count }, (_, index) => index)]]);
          const members = (
            size: number,
            had: ReadonlyMap<string, never[] | Parameters<typeof assignShared>[0][number]["assignment"]>,
          ) =>
            Array.from({ length: size }, (_, index) => ({
              memberId: `m${index}`,
              topicIds: [idOf("t")],
              assignment: had.get(`m${index}`) ?? [],
            }));
          const first = assignShared(members(before, new Map()), partitions);
          const second = assignShared(members(after, first), partitions);
          for (const [size, result] of [
            [before, first],
            [after, second],
          ] as const) {
            const sizes = Array.from(result.values(), (topics) =>
              topics.reduce((sum, each) => sum + each.partitions.length, 0),
            );
            const given = new Set(
              Array.from(result.values()).flatMap((topics) => topics.flatMap((each) => each.partitions)),
            );
            expect(given.size).toBe(count);
            expect(Math.max(...sizes)).toBeLessThanOrEqual(Math.ceil((Math.ceil(size / count) * count) / size));
            expect(Math.min(...sizes)).toBeGreaterThanOrEqual(size <= count ? 1 : 0);
          }
          if (before === after) expect(second).toEqual(first);
        },
      ),
    );
  });
});

describe("a share group", () => {
  test("is joined, told what is read, and left", () => {
    let group = initialized(emptyShareGroup, ["b"]);
    const a = accepted(group, "a", 0, ["b"]);
    expect(a.member.epoch).toBe(2);
    expect(a.member.assignment).toEqual([{ topicId: idOf("b"), partitions: [0, 1] }]);
    const b = accepted(a.group, "b", 0, ["b"]);
    expect(b.group.epoch).toBe(3);
    const again = accepted(b.group, "a", 2, null);
    expect(again.isTold).toBe(true);
    expect(again.member.epoch).toBe(3);
    expect(accepted(again.group, "a", 3, null).isTold).toBe(false);
    expect(accepted(again.group, "a", 2, null).member.epoch).toBe(3); // The answer was lost.
    expect(heartbeat(again.group, beat("a", 7, null), view)).toEqual({ kind: "refused", error: "FENCED_MEMBER_EPOCH" });
    expect(heartbeat(again.group, beat("x", 3, null), view)).toEqual({ kind: "refused", error: "UNKNOWN_MEMBER_ID" });
    group = leave(again.group, "a", topic) as ShareGroup;
    expect(accepted(group, "b", 3, null).member.assignment).toEqual([{ topicId: idOf("b"), partitions: [0, 1] }]);
    expect(leave(group, "a", topic)).toBeUndefined();
  });

  test("is the same after it was written and read, whatever happened", () => {
    const step = fc.record({
      memberId: fc.constantFrom("a", "b", "c"),
      names: fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 }),
      leaves: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let group = emptyShareGroup;
        const log: StateRecord[] = [];
        const become = (after: ShareGroup): void => {
          log.push(...shareGroupRecords("g", group, after, 1));
          group = after;
        };
        for (const { memberId, names, leaves } of steps) {
          if (leaves) become(leave(group, memberId, topic) ?? group);
          else {
            become(initialized(group, names));
            become(accepted(group, memberId, 0, names).group);
          }
        }
        const replayed = log.reduce<ShareGroup | undefined>((before, { key, value }) => {
          expect(isShareGroupKey(key)).toBe(true);
          return replayShareGroup(key, value, () => before).group;
        }, undefined);
        expect(replayed ?? emptyShareGroup).toEqual(group);
        const gone = shareGroupTombstones("g").reduce(
          (before, { key, value }) => replayShareGroup(key, value, () => before).group,
          replayed,
        );
        expect(gone).toBeUndefined();
      }),
    );
  });
});

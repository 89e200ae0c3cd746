// Proves: every task is active once, its standbys are in other processes, loads are even, and nothing moves without need.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AssignedMember,
  type AssignedSubtopology,
  type StickyInput,
  stickyAssignment,
} from "../../../src/coordinator/streams/sticky-assignor.ts";
import { noTasks, type Tasks } from "../../../src/coordinator/streams/tasks.ts";

const subtopologies = fc
  .array(fc.record({ tasks: fc.integer({ min: 1, max: 9 }), isStateful: fc.boolean() }), { minLength: 1, maxLength: 4 })
  .map((list): AssignedSubtopology[] => list.map((each, index) => ({ id: String(index), ...each })));

/** Nonsense too: tasks that are gone, or that two members had. */
const previous = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.uniqueArray(fc.integer({ min: 0, max: 11 }), { maxLength: 5 })), {
    maxLength: 3,
  })
  .map((lists) => new Map(lists.map(([id, numbers]) => [String(id), numbers.sort((a, b) => a - b)])));

const members = fc
  .array(fc.record({ processId: fc.constantFrom("p", "q", "r"), active: previous, standby: previous }), {
    minLength: 1,
    maxLength: 7,
  })
  .map((list): AssignedMember[] =>
    list.map(({ processId, active, standby }, index) => ({
      id: `m${index}`,
      processId,
      previous: { ...noTasks, active, standby },
    })),
  );

const inputs = fc.record({ members, subtopologies, standbys: fc.integer({ min: 0, max: 3 }) });

function keys(tasks: Tasks["active"]): string[] {
  return [...tasks].flatMap(([id, numbers]) => numbers.map((number) => `${id}_${number}`));
}

function sizes(made: ReadonlyMap<string, Tasks>): number[] {
  return [...made.values()].map(({ active }) => keys(active).length);
}

function check({ members, subtopologies, standbys }: StickyInput): ReadonlyMap<string, Tasks> {
  const made = stickyAssignment({ members, subtopologies, standbys });
  expect([...made.keys()]).toEqual(members.map(({ id }) => id));
  const all = subtopologies.flatMap(({ id, tasks }) => Array.from({ length: tasks }, (_, at) => `${id}_${at}`));
  const actives = [...made.values()].flatMap(({ active }) => keys(active));
  expect(actives.sort()).toEqual([...all].sort());
  const processes = new Set(members.map(({ processId }) => processId));
  for (const { id, tasks, isStateful } of subtopologies) {
    for (let at = 0; at < tasks; at += 1) {
      const key = `${id}_${at}`;
      const holders = members.flatMap(({ id: member, processId }) => {
        const has = made.get(member) ?? noTasks;
        return [...keys(has.active), ...keys(has.standby)].filter((each) => each === key).map(() => processId);
      });
      expect(new Set(holders).size, `${key} twice in a process`).toBe(holders.length);
      const copies = isStateful ? Math.min(standbys, processes.size - 1) : 0;
      expect(holders.length, `copies of ${key}`).toBe(1 + copies);
    }
  }
  return made;
}

test("any group, whatever it had before, gets every task once and as many standbys as there are processes for", () => {
  fc.assert(fc.property(inputs, (input) => void check(input)));
});

test("members of processes of one size have the same number of active tasks, give or take one", () => {
  const fresh = fc.record({ subtopologies, count: fc.integer({ min: 1, max: 8 }) });
  fc.assert(
    fc.property(fresh, ({ subtopologies: list, count }) => {
      const alone = Array.from({ length: count }, (_, at) => ({
        id: `m${at}`,
        processId: `p${at}`,
        previous: noTasks,
      }));
      const counts = sizes(check({ members: alone, subtopologies: list, standbys: 0 }));
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }),
  );
});

test("what was made is made again when nothing changed, standbys included", () => {
  fc.assert(
    fc.property(inputs, (input) => {
      // Once balanced: the first assignment may have kept what was uneven.
      let made = check(input);
      const again = () =>
        check({
          ...input,
          members: input.members.map((each) => ({ ...each, previous: made.get(each.id) ?? noTasks })),
        });
      for (let round = 0; round < 3; round += 1) made = again();
      const actives = (tasks: ReadonlyMap<string, Tasks>) => [...tasks].map(([id, { active }]) => [id, keys(active)]);
      expect(actives(again())).toEqual(actives(made));
    }),
  );
});

test("a member that comes takes no more than its share, and one that goes leaves the others what they had", () => {
  const fresh = fc.record({ subtopologies, count: fc.integer({ min: 2, max: 6 }) });
  fc.assert(
    fc.property(fresh, ({ subtopologies: list, count }) => {
      const ids = Array.from({ length: count }, (_, at) => `m${at}`);
      const group = (names: readonly string[], had: ReadonlyMap<string, Tasks>) =>
        check({
          subtopologies: list,
          standbys: 0,
          members: names.map((id) => ({ id, processId: id, previous: had.get(id) ?? noTasks })),
        });
      const before = group(ids, new Map());
      const left = ids.slice(1);
      const after = group(left, before);
      for (const id of left) {
        const has = new Set(keys(after.get(id)?.active ?? new Map()));
        for (const key of keys(before.get(id)?.active ?? new Map())) expect(has).toContain(key);
      }
      const back = group(ids, after);
      const moved = left.flatMap((id) => {
        const has = new Set(keys(back.get(id)?.active ?? new Map()));
        return keys(after.get(id)?.active ?? new Map()).filter((key) => !has.has(key));
      });
      expect(moved.length).toBe(keys(back.get(ids[0] ?? "")?.active ?? new Map()).length);
    }),
  );
});

test("a task goes to where its state is kept as a standby", () => {
  const list = [{ id: "0", tasks: 2, isStateful: true }];
  const had = (active: number[], standby: number[]): Tasks => ({
    ...noTasks,
    active: new Map([["0", active]]),
    standby: new Map([["0", standby]]),
  });
  // The process that ran task 0 is gone; c has a copy of it, b has none.
  const made = stickyAssignment({
    subtopologies: list,
    standbys: 1,
    members: [
      { id: "b", processId: "b", previous: had([1], []) },
      { id: "c", processId: "c", previous: had([], [0]) },
    ],
  });
  expect(keys(made.get("c")?.active ?? new Map())).toEqual(["0_0"]);
  expect(keys(made.get("b")?.active ?? new Map())).toEqual(["0_1"]);
});

test("ten thousand tasks of a thousand members are given out in one turn without a pause that anybody feels", () => {
  const many = Array.from({ length: 1000 }, (_, at) => ({
    id: `m${at}`,
    processId: `p${at % 250}`,
    previous: noTasks,
  }));
  const made = stickyAssignment({
    members: many,
    subtopologies: [{ id: "0", tasks: 10_000, isStateful: true }],
    standbys: 1,
  });
  expect(new Set(sizes(made))).toEqual(new Set([10]));
});

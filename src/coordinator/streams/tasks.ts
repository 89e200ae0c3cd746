/**
 * A task is a partition number of a subtopology: it reads that partition of each of the subtopology's topics. Members hold
 * tasks in three roles.
 */
import { type Held, hasSame, holdsAny, type Numbers, ownsOnly } from "../held.ts";

export const taskRoles = [
  /** Reads and writes. One member in the group has it. */
  "active",
  /** Follows the state of a task, so as to take it over at once. */
  "standby",
  /** The same, because the task is to be moved here. */
  "warmup",
] as const;
export type TaskRole = (typeof taskRoles)[number];
export type ByRole<T> = Readonly<Record<TaskRole, T>>;

export type SubtopologyId = string;
/** What a member is to have. */
export type Tasks = ByRole<Numbers<SubtopologyId>>;
/** What a member has. Epochs mean something of active tasks only. */
export type HeldTasks = ByRole<Held<SubtopologyId>>;
/** What the member says it owns; null when it says nothing. */
export type OwnedTasks = Tasks | null;

export function byRole<T>(of: (role: TaskRole) => T): ByRole<T> {
  return { active: of("active"), standby: of("standby"), warmup: of("warmup") };
}

export const noTasks: Tasks = byRole(() => new Map());
export const nothingHeld: HeldTasks = byRole(() => new Map());

export function holdsAnyTask(owned: OwnedTasks, tasks: HeldTasks): boolean {
  return taskRoles.some((role) => holdsAny(owned?.[role] ?? null, tasks[role]));
}

export function ownsOnlyTasks(owned: OwnedTasks, assigned: HeldTasks): boolean {
  return taskRoles.every((role) => ownsOnly(owned?.[role] ?? null, assigned[role]));
}

export function hasSameTasks(a: HeldTasks, b: HeldTasks): boolean {
  return taskRoles.every((role) => hasSame(a[role], b[role]));
}

export function isWithoutTasks(tasks: HeldTasks): boolean {
  return taskRoles.every((role) => tasks[role].size === 0);
}

/** Numbers ascend in both. */
export function hasEqualTasks(a: Tasks, b: Tasks): boolean {
  return taskRoles.every((role) => {
    if (a[role].size !== b[role].size) return false;
    for (const [id, numbers] of a[role]) if (b[role].get(id)?.join() !== numbers.join()) return false;
    return true;
  });
}

/** As it is told and written: sorted, so that equal tasks are equal bytes. */
export function taskLists<Value>(
  tasks: ReadonlyMap<SubtopologyId, Value>,
  numbers: (value: Value) => Iterable<number>,
): readonly { readonly subtopologyId: SubtopologyId; readonly partitions: readonly number[] }[] {
  return [...tasks]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([subtopologyId, value]) => ({ subtopologyId, partitions: [...numbers(value)].sort((a, b) => a - b) }));
}

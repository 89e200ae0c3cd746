/**
 * One member's way from the tasks that it has to those that it is to have: the states of consumer-reconcile.ts. A task is given
 * to nobody while another runs it, nor to a process that still has it in another role.
 */
import { filtered } from "../held.ts";
import type { CurrentTasks, StreamsGroup, StreamsMember } from "./streams-group-state.ts";
import {
  byRole,
  type HeldTasks,
  hasSameTasks,
  holdsAnyTask,
  isWithoutTasks,
  nothingHeld,
  type OwnedTasks,
  type SubtopologyId,
  type TaskRole,
  type Tasks,
  taskRoles,
} from "./tasks.ts";

export interface Target {
  readonly epoch: number;
  readonly tasks: Tasks;
}

/** `group` is as it was before this heartbeat: what the member has just given up is free from its next one on. The same object
 *  when nothing changes. */
export function reconcile(
  group: StreamsGroup,
  member: StreamsMember,
  given: { readonly target: Target; readonly owned: OwnedTasks },
): CurrentTasks {
  const { current } = member;
  switch (current.state) {
    case "stable":
      return current.epoch === given.target.epoch
        ? current
        : approach(group, member, { ...given, epoch: current.epoch });
    case "unrevoked":
      if (holdsAnyTask(given.owned, current.revoking)) return current;
      return approach(group, member, { ...given, epoch: current.epoch + 1 });
    case "unreleased":
      return approach(group, member, { ...given, epoch: current.epoch });
  }
}

function approach(
  group: StreamsGroup,
  member: StreamsMember,
  { target, owned, epoch }: { readonly target: Target; readonly owned: OwnedTasks; readonly epoch: number },
): CurrentTasks {
  const { current } = member;
  const wanted = byRole((role) => new Map([...target.tasks[role]].map(([id, numbers]) => [id, new Set(numbers)])));
  const isWanted = (role: TaskRole) => (id: SubtopologyId, task: number) => wanted[role].get(id)?.has(task) === true;
  const kept = byRole((role) => filtered(current.assigned[role], isWanted(role)));
  const revoking = byRole((role) => filtered(current.assigned[role], (id, task) => !isWanted(role)(id, task)));
  const previousEpoch = current.epoch;
  if (!isWithoutTasks(revoking) && holdsAnyTask(owned, revoking)) {
    return changed(current, { state: "unrevoked", epoch, previousEpoch, assigned: kept, revoking });
  }
  const { assigned, isWaiting } = withReleased(group, member, { kept, target });
  const state = isWaiting ? "unreleased" : "stable";
  return changed(current, { state, epoch: target.epoch, previousEpoch, assigned, revoking: nothingHeld });
}

function changed(before: CurrentTasks, after: CurrentTasks): CurrentTasks {
  const isSame =
    before.state === after.state &&
    before.epoch === after.epoch &&
    before.previousEpoch === after.previousEpoch &&
    hasSameTasks(before.assigned, after.assigned) &&
    hasSameTasks(before.revoking, after.revoking);
  return isSame ? before : after;
}

function withReleased(
  group: StreamsGroup,
  member: StreamsMember,
  { kept, target }: { readonly kept: HeldTasks; readonly target: Target },
): { readonly assigned: HeldTasks; readonly isWaiting: boolean } {
  const missing = taskRoles.flatMap((role) =>
    [...target.tasks[role]].flatMap(([id, numbers]) =>
      numbers.filter((task) => kept[role].get(id)?.has(task) !== true).map((task) => ({ role, id, task })),
    ),
  );
  if (missing.length === 0) return { assigned: kept, isWaiting: false };
  const assigned = byRole((role) => new Map([...kept[role]].map(([id, numbers]) => [id, new Map(numbers)])));
  const isTaken = takenTasks(group, member.metadata.processId);
  let isWaiting = false;
  for (const { role, id, task } of missing) {
    if (isTaken(role, id, task)) {
      isWaiting = true;
      continue;
    }
    const numbers = assigned[role].get(id) ?? new Map<number, number>();
    assigned[role].set(id, numbers.set(task, target.epoch));
  }
  return { assigned, isWaiting };
}

type IsTaken = (role: TaskRole, id: SubtopologyId, task: number) => boolean;

/** An active task is taken while any member runs it; any task while the process has it in whatever role. */
function takenTasks(group: StreamsGroup, processId: string): IsTaken {
  const anywhere = new Map<SubtopologyId, Set<number>>();
  const inProcess = new Map<SubtopologyId, Set<number>>();
  for (const { metadata, current } of group.members.values()) {
    const isSameProcess = metadata.processId === processId;
    for (const held of [current.assigned, current.revoking]) {
      add(anywhere, held.active);
      if (isSameProcess) for (const role of taskRoles) add(inProcess, held[role]);
    }
  }
  return (role, id, task) =>
    inProcess.get(id)?.has(task) === true || (role === "active" && anywhere.get(id)?.has(task) === true);
}

function add(to: Map<SubtopologyId, Set<number>>, held: HeldTasks[TaskRole]): void {
  for (const [id, numbers] of held) {
    const known = to.get(id) ?? new Set();
    to.set(id, known);
    for (const task of numbers.keys()) known.add(task);
  }
}

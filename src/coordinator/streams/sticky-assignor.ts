/**
 * Which member runs which task: a pure function. Every task is active exactly once, its standbys are in other processes, members
 * are loaded as evenly as can be, and of what they had they keep what evenness does not take from them.
 *
 *   active:   where it was active ─▶ where its state is kept as a standby ─▶ the least loaded process
 *   standby:  where it was active ─▶ where it was a standby ─▶ the least loaded process that does not have it
 *
 * A member takes what it had only up to its quota, the mean rounded up. Once a member has it, the quota is that of the rest, so
 * that no more members than needed have one more than others.
 */
import { Heap } from "../../base/heap.ts";
import type { SubtopologyId, TaskRole, Tasks } from "./tasks.ts";

export interface AssignedMember {
  readonly id: string;
  /** Threads of one process share its disk, so a second copy of a task there helps nobody. */
  readonly processId: string;
  /** What the member was to have until now. */
  readonly previous: Tasks;
}

export interface AssignedSubtopology {
  readonly id: SubtopologyId;
  readonly tasks: number;
  /** Only tasks that keep state have standbys. */
  readonly isStateful: boolean;
}

export interface StickyInput {
  readonly members: readonly AssignedMember[];
  /** Sorted by id. */
  readonly subtopologies: readonly AssignedSubtopology[];
  readonly standbys: number;
}

/** An entry for each member, empty ones included. */
export function stickyAssignment(input: StickyInput): ReadonlyMap<string, Tasks> {
  const seats = seatsOf(input.members);
  const history = historyOf(input.members, seats);
  const active = tasksOf(input.subtopologies);
  const stateful = tasksOf(input.subtopologies.filter(({ isStateful }) => isStateful));
  const quotas = {
    active: new Quota(active.length, seats.length),
    all: new Quota(active.length + stateful.length * input.standbys, seats.length),
  };
  if (seats.length > 0) {
    assignActive(active, { seats, history, quotas });
    assignStandbys(stateful, input.standbys, { seats, history, quotas });
  }
  return new Map(seats.map(({ memberId, held }) => [memberId, { ...grouped(held), warmup: new Map() }]));
}

interface Task {
  readonly subtopology: SubtopologyId;
  readonly partition: number;
  readonly key: string;
}

interface Process {
  readonly seats: Seat[];
  readonly keys: Set<string>;
  /** Tasks of all its members. */
  count: number;
}

/** A member while the assignment is made. */
interface Seat {
  readonly memberId: string;
  readonly process: Process;
  readonly held: { readonly task: Task; readonly role: TaskRole }[];
}

/** Who had which task, by its key. */
interface History {
  readonly active: ReadonlyMap<string, Seat>;
  readonly standby: ReadonlyMap<string, readonly Seat[]>;
}

interface Room {
  readonly seats: readonly Seat[];
  readonly history: History;
  readonly quotas: { readonly active: Quota; readonly all: Quota };
}

class Quota {
  #tasks: number;
  #members: number;
  perMember = 0;

  constructor(tasks: number, members: number) {
    this.#tasks = tasks;
    this.#members = members;
    this.#divide();
  }

  /** A member has so many now: one that has its share leaves the rest to the others. */
  has(count: number): void {
    if (count !== this.perMember) return;
    this.#members -= 1;
    this.#tasks -= count;
    this.#divide();
  }

  #divide(): void {
    this.perMember = this.#members <= 0 ? 0 : Math.ceil(this.#tasks / this.#members);
  }
}

function seatsOf(members: readonly AssignedMember[]): readonly Seat[] {
  const processes = new Map<string, Process>();
  return members.map(({ id, processId }) => {
    const process = processes.get(processId) ?? { seats: [], keys: new Set(), count: 0 };
    processes.set(processId, process);
    const seat: Seat = { memberId: id, process, held: [] };
    process.seats.push(seat);
    return seat;
  });
}

function historyOf(members: readonly AssignedMember[], seats: readonly Seat[]): History {
  const active = new Map<string, Seat>();
  const standby = new Map<string, Seat[]>();
  for (const [index, { previous }] of members.entries()) {
    const seat = seats[index] as Seat;
    for (const key of keysOf(previous, "active")) active.set(key, seat);
    for (const key of keysOf(previous, "standby")) {
      const others = standby.get(key);
      if (others === undefined) standby.set(key, [seat]);
      else others.push(seat);
    }
  }
  return { active, standby };
}

function* keysOf(tasks: Tasks, role: TaskRole): Iterable<string> {
  for (const [id, numbers] of tasks[role]) for (const partition of numbers) yield keyOf(id, partition);
}

function keyOf(subtopology: SubtopologyId, partition: number): string {
  return `${partition} ${subtopology}`;
}

/** Tasks with one number come together: what is joined was read by one member, and stays so. */
function tasksOf(subtopologies: readonly AssignedSubtopology[]): readonly Task[] {
  return subtopologies
    .flatMap(({ id, tasks }) =>
      Array.from({ length: tasks }, (_, partition) => ({ subtopology: id, partition, key: keyOf(id, partition) })),
    )
    .sort((a, b) => a.partition - b.partition || (a.subtopology < b.subtopology ? -1 : 1));
}

function give(seat: Seat, task: Task, role: TaskRole, { quotas }: Room): void {
  seat.held.push({ task, role });
  seat.process.keys.add(task.key);
  seat.process.count += 1;
  if (role === "active") quotas.active.has(seat.held.length);
  quotas.all.has(seat.held.length);
}

function assignActive(tasks: readonly Task[], room: Room): void {
  const { history, quotas } = room;
  /** Gives what it can, and returns the rest. */
  const back = (open: readonly Task[], seatOf: (task: Task) => Seat | undefined): readonly Task[] =>
    open.filter((task) => {
      const seat = seatOf(task);
      if (seat === undefined || seat.held.length >= quotas.active.perMember) return true;
      give(seat, task, "active", room);
      return false;
    });
  const moved = back(tasks, ({ key }) => history.active.get(key));
  const fresh = back(moved, ({ key }) => leastLoaded(history.standby.get(key) ?? []));
  const floor = new Floor(room.seats);
  // Neighbours of one subtopology go to different processes.
  const bySubtopology = [...fresh].sort((a, b) =>
    a.subtopology === b.subtopology ? a.partition - b.partition : a.subtopology < b.subtopology ? -1 : 1,
  );
  for (const task of bySubtopology) floor.give(task, "active", room);
}

/** In the opposite order of the active tasks, so that the last processes, which have fewer of them, come first. */
function assignStandbys(tasks: readonly Task[], standbys: number, room: Room): void {
  if (standbys === 0) return;
  const { history, quotas } = room;
  const rest: Task[] = [];
  for (const task of [...tasks].reverse()) {
    const candidates = [history.active.get(task.key), ...(history.standby.get(task.key) ?? [])];
    for (let copy = 0; copy < standbys; copy += 1) {
      const free = candidates.flatMap((seat) => {
        const isFree = seat !== undefined && !seat.process.keys.has(task.key);
        return isFree && seat.held.length < quotas.all.perMember ? [seat] : [];
      });
      const wasActive = free.find((seat) => seat === candidates[0]);
      const seat = wasActive ?? leastLoaded(free);
      if (seat === undefined) rest.push(task);
      else give(seat, task, "standby", room);
    }
  }
  const floor = new Floor(room.seats);
  // Where there are too few processes a task has fewer standbys than were asked for.
  for (const task of rest) floor.give(task, "standby", room);
}

function load({ count, seats }: Process): number {
  return count / seats.length;
}

function leastLoaded(seats: readonly Seat[]): Seat | undefined {
  let least: Seat | undefined;
  for (const seat of seats) {
    const isLess =
      least === undefined ||
      load(seat.process) < load(least.process) ||
      (load(seat.process) === load(least.process) && seat.held.length < least.held.length);
    if (isLess) least = seat;
  }
  return least;
}

/** The least loaded process first, and in it the least loaded member. Nobody else gives tasks while it is used. */
class Floor {
  readonly #processes: Heap<{ readonly process: Process; readonly seats: Heap<Seat> }>;

  constructor(seats: readonly Seat[]) {
    this.#processes = new Heap((a, b) => load(a.process) - load(b.process));
    for (const process of new Set(seats.map((seat) => seat.process))) {
      const ofProcess = new Heap<Seat>((a, b) => a.held.length - b.held.length);
      for (const seat of process.seats) ofProcess.push(seat);
      this.#processes.push({ process, seats: ofProcess });
    }
  }

  /** To the first process that does not have the task in another role. */
  give(task: Task, role: TaskRole, room: Room): void {
    const passed = [];
    for (let entry = this.#processes.pop(); entry !== undefined; entry = this.#processes.pop()) {
      passed.push(entry);
      if (entry.process.keys.has(task.key)) continue;
      const seat = entry.seats.pop();
      if (seat === undefined) continue;
      give(seat, task, role, room);
      entry.seats.push(seat);
      break;
    }
    for (const entry of passed) this.#processes.push(entry);
  }
}

function grouped(held: Seat["held"]): Pick<Tasks, "active" | "standby"> {
  const roles = { active: new Map<SubtopologyId, number[]>(), standby: new Map<SubtopologyId, number[]>() };
  for (const { task, role } of held) {
    if (role === "warmup") continue;
    const numbers = roles[role].get(task.subtopology);
    if (numbers === undefined) roles[role].set(task.subtopology, [task.partition]);
    else numbers.push(task.partition);
  }
  for (const byId of Object.values(roles)) for (const numbers of byId.values()) numbers.sort((a, b) => a - b);
  return roles;
}

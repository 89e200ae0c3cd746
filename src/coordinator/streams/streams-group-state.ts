/** What a streams group (KIP-1071) is. The machine itself: streams-group.ts. */
import type { MemberState } from "../consumer-group-state.ts";
import type { ConfiguredTopology } from "./configure-topology.ts";
import { type HeldTasks, nothingHeld, type Tasks } from "./tasks.ts";
import type { StreamsTopology } from "./topology.ts";

/** The three epochs are those of a consumer group (consumer-group-state.ts), with tasks in the place of partitions. */
export interface StreamsGroup {
  readonly epoch: number;
  readonly targetEpoch: number;
  /** When the targets were made; 0 lets the next ones be made at once. */
  readonly targetsMadeAt: number;
  readonly members: ReadonlyMap<string, StreamsMember>;
  /** What each member is to have. */
  readonly targets: ReadonlyMap<string, Tasks>;
  /** Of the member that came first; the others must have the same. Null only before there is one. */
  readonly topology: StreamsTopology | null;
  /** Epoch of the topology, if all of its topics are as they must be; else -1. */
  readonly validatedEpoch: number;
  /** Standbys of each task when the epoch last grew. */
  readonly standbys: number | null;
  /** Of the topics that the topology needs and their partition counts, as they were when the epoch last grew for them. */
  readonly topicsHash: number;

  // What follows is not kept: a loaded group finds it out anew.

  readonly configured: ConfiguredTopology | null;
  /** The version of the topics that this group has looked at. */
  readonly topicsSeen: number;
  /** Members have just begun to come: tasks are given out when more had the time to. */
  readonly isDelayed: boolean;
  /** The member that wants the whole application to stop. */
  readonly shutdownBy: string | null;
  /** Grows when partitions behind an endpoint change. */
  readonly endpointsEpoch: number;
}

/** The two halves change apart and are written apart; a half that did not change is the same object. */
export interface StreamsMember {
  readonly id: string;
  readonly metadata: StreamsMetadata;
  readonly current: CurrentTasks;
}

export interface StreamsMetadata {
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly topologyEpoch: number;
  readonly processId: string;
  /** Where the application answers queries of its state. */
  readonly userEndpoint: Endpoint | null;
  readonly clientTags: readonly { readonly key: string; readonly value: string }[];
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface CurrentTasks {
  readonly state: MemberState;
  readonly epoch: number;
  /** The answer that brought the present epoch may have been lost. */
  readonly previousEpoch: number;
  readonly assigned: HeldTasks;
  /** Still held by the member, which has been told to give them up. */
  readonly revoking: HeldTasks;
}

export interface StreamsLimits {
  readonly membersMax: number;
  /** Of all subtopologies together. */
  readonly tasksMax: number;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** Between two assignments, so that many joins cost one. */
  readonly assignmentIntervalMs: number;
  /** What a group without members waits for more of them after the first. */
  readonly initialDelayMs: number;
  readonly standbys: number;
}

/** Administrators may set a group's own. */
export type StreamsLimitsOf = (groupId: string) => StreamsLimits;

/** `texts` are the group's configs, checked when they were set: what cannot be read counts as not set. */
export function streamsLimits(texts: ReadonlyMap<string, string>, defaults: StreamsLimits): StreamsLimits {
  const number = (name: string, otherwise: number): number => {
    const value = Number(texts.get(name) ?? Number.NaN);
    return Number.isSafeInteger(value) ? value : otherwise;
  };
  return {
    ...defaults,
    sessionTimeoutMs: number("streams.session.timeout.ms", defaults.sessionTimeoutMs),
    heartbeatIntervalMs: number("streams.heartbeat.interval.ms", defaults.heartbeatIntervalMs),
    assignmentIntervalMs: number("streams.assignment.interval.ms", defaults.assignmentIntervalMs),
    initialDelayMs: number("streams.initial.rebalance.delay.ms", defaults.initialDelayMs),
    standbys: number("streams.num.standby.replicas", defaults.standbys),
  };
}

/** Kafka begins at 1, so that no member ever has the epoch with which it joins. */
export const emptyStreamsGroup: StreamsGroup = {
  epoch: 1,
  targetEpoch: 1,
  targetsMadeAt: 0,
  members: new Map(),
  targets: new Map(),
  topology: null,
  validatedEpoch: -1,
  standbys: null,
  topicsHash: 0,
  configured: null,
  topicsSeen: 0,
  isDelayed: false,
  shutdownBy: null,
  endpointsEpoch: 0,
};

export const noMetadata: StreamsMetadata = {
  rackId: null,
  clientId: "",
  clientHost: "",
  rebalanceTimeoutMs: -1,
  topologyEpoch: -1,
  processId: "",
  userEndpoint: null,
  clientTags: [],
};

export const newcomer: CurrentTasks = {
  state: "stable",
  epoch: 0,
  previousEpoch: 0,
  assigned: nothingHeld,
  revoking: nothingHeld,
};

export type StreamsGroupState = "empty" | "not-ready" | "assigning" | "reconciling" | "stable";

export function streamsGroupState(group: StreamsGroup): StreamsGroupState {
  if (group.members.size === 0) return "empty";
  if (group.topology?.epoch !== group.validatedEpoch) return "not-ready";
  if (group.epoch > group.targetEpoch) return "assigning";
  for (const { current } of group.members.values()) {
    if (current.state !== "stable" || current.epoch !== group.targetEpoch) return "reconciling";
  }
  return "stable";
}

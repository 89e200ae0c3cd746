/** ListGroups, DescribeGroups and DeleteGroups: groups seen from outside. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { Slices } from "../../base/async.ts";
import { type ClassicGroup, type GroupState, metadataFor } from "../../coordinator/classic-group-state.ts";
import { classicProtocolType } from "../../coordinator/consumer-group-migration.ts";
import { consumerGroupState } from "../../coordinator/consumer-group-state.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import { GroupShard } from "../../coordinator/group-shard.ts";
import type { LiveGroup } from "../../coordinator/live-group.ts";
import type { ShareGroup } from "../../coordinator/share/share-group.ts";
import { streamsGroupState } from "../../coordinator/streams/streams-group-state.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { openOperations, operationsNotAsked } from "../cluster/cluster-view.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";
import { fewOfEach } from "../repeated.ts";
import { shareGroupState } from "../share/share-group.ts";
import { consumerStateNames } from "./consumer-groups.ts";
import { streamsStateNames } from "./streams-groups.ts";

const stateNames: Readonly<Record<GroupState, string>> = {
  empty: "Empty",
  "preparing-rebalance": "PreparingRebalance",
  "completing-rebalance": "CompletingRebalance",
  stable: "Stable",
  dead: "Dead",
};

const groupTypes = { classic: "classic", consumer: "consumer", share: "share", streams: "streams" } as const;

type ListedGroup = ResponseInputOf<"listGroups">["groups"][number] & {
  readonly groupState: string;
  readonly groupType: string;
};
const missingGroupIsNamedSince = 6;
/** Of one turn of the event loop. */
const sliceMsMax = 5;

export function listGroupsHandler(
  coordinator: GroupCoordinator,
): Handler<RequestOf<"listGroups">, ResponseInputOf<"listGroups">> {
  return async ({ statesFilter, typesFilter }) => {
    const { shards, isComplete } = await coordinator.allShards();
    const states = new Set(statesFilter.map((name) => name.toLowerCase()));
    const types = new Set(typesFilter.map((name) => name.toLowerCase()));
    const isWanted = (filter: ReadonlySet<string>, name: string): boolean =>
      filter.size === 0 || filter.has(name.toLowerCase());
    const wanted = function* (): Generator<void, ListedGroup[], void> {
      const groups: ListedGroup[] = [];
      for (const group of listedOf(shards)) {
        if (isWanted(states, group.groupState) && isWanted(types, group.groupType)) groups.push(group);
        yield;
      }
      return groups;
    };
    const groups = await new Slices({ clock: coordinator.runtime.clock, sliceMsMax }).run(wanted());
    return { errorCode: code(isComplete ? "NONE" : "COORDINATOR_LOAD_IN_PROGRESS"), groups };
  };
}

/** The groups that there are when the turn of their shard comes. */
function* listedOf(shards: readonly GroupShard[]): Generator<ListedGroup> {
  for (const shard of shards) {
    const [groups, shares] = [Array.from(shard.groups()), Array.from(shard.shares?.all() ?? [])];
    for (const group of groups) yield listed(group);
    for (const entry of shares) yield listedShare(entry);
  }
}

function listedShare([groupId, group]: readonly [string, ShareGroup]): ListedGroup {
  const groupState = shareGroupState(group);
  return { groupId, protocolType: groupTypes.share, groupState, groupType: groupTypes.share };
}

function listed({ id, classic, consumer, streams }: LiveGroup): ListedGroup {
  if (streams !== null) {
    const groupState = streamsStateNames[streamsGroupState(streams)];
    return { groupId: id, protocolType: groupTypes.streams, groupState, groupType: groupTypes.streams };
  }
  if (consumer === null) {
    const groupState = stateNames[classic.state];
    return { groupId: id, protocolType: classic.protocolType ?? "", groupState, groupType: groupTypes.classic };
  }
  const groupState = consumerStateNames[consumerGroupState(consumer)];
  return { groupId: id, protocolType: classicProtocolType, groupState, groupType: groupTypes.consumer };
}

type DescribeResponse = ResponseInputOf<"describeGroups">;
type DescribedGroup = DescribeResponse["groups"][number];

export function describeGroupsHandler(
  coordinator: GroupCoordinator,
): Handler<RequestOf<"describeGroups">, DescribeResponse> {
  return async ({ groups, includeAuthorizedOperations }, { apiVersion }) => ({
    groups: await Promise.all(
      fewOfEach(groups, (groupId) => groupId).map(async (groupId): Promise<DescribedGroup> => {
        const authorizedOperations = includeAuthorizedOperations ? openOperations.group : operationsNotAsked;
        const shard = await coordinator.shard(groupId);
        if (!(shard instanceof GroupShard)) return absent(groupId, shard, "");
        const group = shard.group(groupId);
        if (group?.consumer === null && group.streams === null)
          return { ...described(groupId, group.classic), authorizedOperations };
        const isNamed = apiVersion >= missingGroupIsNamedSince;
        const missing = absent(groupId, isNamed ? "GROUP_ID_NOT_FOUND" : "NONE", stateNames.dead);
        const why = group === undefined ? "not found" : "is not a classic group";
        return isNamed
          ? { ...missing, errorMessage: clipped(`Group ${groupId} ${why}.`) }
          : { ...missing, authorizedOperations };
      }),
    ),
  });
}

function described(groupId: string, group: ClassicGroup): DescribedGroup {
  // Before the group is stable its protocol and subscriptions are about to change; members still have what they had.
  const isStable = group.state === "stable";
  const none = new Uint8Array(0);
  return {
    errorCode: 0,
    groupId,
    groupState: stateNames[group.state],
    protocolType: group.protocolType ?? "",
    protocolData: isStable ? (group.protocolName ?? "") : "",
    members: Array.from(group.members.values(), (member) => ({
      memberId: member.id,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: isStable ? metadataFor(member, group.protocolName) : none,
      memberAssignment: member.assignment,
    })),
  };
}

function absent(groupId: string, error: ErrorName, groupState: string): DescribedGroup {
  return { errorCode: code(error), groupId, groupState, protocolType: "", protocolData: "", members: [] };
}

export function deleteGroupsHandler(
  coordinator: GroupCoordinator,
): Handler<RequestOf<"deleteGroups">, ResponseInputOf<"deleteGroups">> {
  return async ({ groupsNames }) => ({
    results: await Promise.all(
      [...new Set(groupsNames)].map(async (groupId) => {
        const shard = await coordinator.shard(groupId);
        const error = shard instanceof GroupShard ? await shard.deleteGroup(groupId) : shard;
        return { groupId, errorCode: code(error) };
      }),
    ),
  });
}

// Proves: the group and offset requests of every version meet the coordinator and come back as that version's clients read them.
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import { uuidZero } from "../../../src/base/ids.ts";
import { apis, type RequestInputOf } from "../../../src/protocol/api-table.ts";
import { AdminWorld, error } from "../admin-world.ts";

/** Version 0 of the consumer protocol. */
function subscription(...topics: string[]): Buffer {
  const names = topics.flatMap((topic) => [0, topic.length, ...Buffer.from(topic)]);
  return Buffer.from([0, 0, 0, 0, 0, topics.length, ...names, 255, 255, 255, 255]);
}

const joining = (given: Partial<RequestInputOf<"joinGroup">> = {}): RequestInputOf<"joinGroup"> => ({
  groupId: "g",
  sessionTimeoutMs: 10_000,
  memberId: "",
  protocolType: "consumer",
  protocols: [{ name: "range", metadata: subscription("t") }],
  ...given,
});

/** A world with topic t and a coordinator for everybody. */
async function ready(...topics: string[]): Promise<AdminWorld> {
  const world = new AdminWorld();
  for (const topic of ["t", ...topics]) await world.topic(topic, 2);
  await world.call("findCoordinator", { coordinatorKeys: ["g"] });
  return world;
}

async function stable(world: AdminWorld): Promise<{ memberId: string; generationId: number }> {
  const joined = await world.call("joinGroup", joining(), 3);
  const { memberId, generationId } = joined;
  const assignments = [{ memberId, assignment: Buffer.from("mine") }];
  const synced = await world.call("syncGroup", { groupId: "g", generationId, memberId, assignments }, 4);
  expect(error(synced)).toBe("NONE");
  return { memberId, generationId };
}

const committing = (
  offset: number,
  given: Partial<RequestInputOf<"offsetCommit">> = {},
): RequestInputOf<"offsetCommit"> => ({
  groupId: "g",
  memberId: "",
  topics: [
    {
      name: "t",
      partitions: [{ partitionIndex: 0, committedOffset: offset, committedLeaderEpoch: 4, committedMetadata: "note" }],
    },
  ],
  ...given,
});

async function commit(world: AdminWorld, request: RequestInputOf<"offsetCommit">, version = 9) {
  const { topics } = await world.call("offsetCommit", request, version);
  return topics.flatMap(({ partitions }) => partitions.map(error));
}

describe("FindCoordinator", () => {
  test("makes the offsets topic and names this broker, in every version", async () => {
    const [min, max] = apis.findCoordinator.request.versions;
    for (let version = min; version <= max; version += 1) {
      await using world = new AdminWorld();
      const answer = await world.call("findCoordinator", { key: "g", coordinatorKeys: ["g", "h"] }, version);
      const expected = { nodeId: 1, host: "public", port: 9092, errorCode: 0 };
      if (version < 4) expect(answer).toMatchObject(version < 1 ? expected : { ...expected, errorMessage: "NONE" });
      else
        expect(answer.coordinators).toMatchObject([
          { key: "g", ...expected },
          { key: "h", ...expected },
        ]);
      const topic = world.metadata.image.topicByName("__consumer_offsets");
      expect(topic?.partitions).toHaveLength(2);
      expect(topic?.configs.get("cleanup.policy")).toBe("compact");
    }
  });

  test("makes the topic of share groups' states for a key that is one, and refuses any other", async () => {
    await using world = new AdminWorld();
    const ask = async (key: string) =>
      (await world.call("findCoordinator", { keyType: 2, coordinatorKeys: [key] })).coordinators[0];
    for (const key of ["g", "g:t:0", "g:AAAAAAAAAAAAAAAAAAAAAQ:x", ":AAAAAAAAAAAAAAAAAAAAAQ:0"])
      expect(error(await ask(key))).toBe("INVALID_REQUEST");
    expect(world.metadata.image.topicByName("__share_group_state")).toBeUndefined();
    expect(await ask("g:AAAAAAAAAAAAAAAAAAAAAQ:0")).toMatchObject({ nodeId: 1, errorCode: 0 });
    expect(world.metadata.image.topicByName("__share_group_state")).toBeDefined();
  });

  test("says not available for kinds that are not here and leaders that are not yet, invalid for no kind", async () => {
    await using world = new AdminWorld();
    world.opensAfterMs = undefined;
    const ask = async (keyType: number) =>
      error((await world.call("findCoordinator", { keyType, coordinatorKeys: ["k"] })).coordinators[0]);
    expect(await ask(0)).toBe("COORDINATOR_NOT_AVAILABLE");
    expect(await ask(1)).toBe("COORDINATOR_NOT_AVAILABLE");
    expect(await ask(7)).toBe("INVALID_REQUEST");
  });
});

describe("membership", () => {
  test.each([0, -1])("with a rebalance timeout of %i a member has its session timeout to sync in", async (timeout) => {
    await using world = await ready();
    const { memberId, generationId } = await world.call("joinGroup", joining({ rebalanceTimeoutMs: timeout }), 3);
    await world.clock.run(1000);
    const assignments = [{ memberId, assignment: Buffer.from("mine") }];
    const synced = await world.call("syncGroup", { groupId: "g", generationId, memberId, assignments }, 3);
    expect(error(synced)).toBe("NONE");
  });

  test("a member joins, syncs, beats and leaves in every version of its time", async () => {
    for (let version = 0; version <= 9; version += 1) {
      await using world = await ready();
      let joined = await world.call("joinGroup", joining(), version);
      if (version >= 4) {
        expect(error(joined)).toBe("MEMBER_ID_REQUIRED");
        joined = await world.call("joinGroup", joining({ memberId: joined.memberId }), version);
      }
      expect(joined).toMatchObject({ errorCode: 0, generationId: 1, leader: joined.memberId, protocolName: "range" });
      expect(joined.memberId).toMatch(/^client-[0-9a-f-]{36}$/);
      expect(joined.members).toHaveLength(1);
      const { memberId, generationId } = joined;
      const group = { groupId: "g", memberId, generationId };
      const names = { protocolType: "consumer", protocolName: "range" };
      const assignments = [{ memberId, assignment: Buffer.from("mine") }];
      const synced = await world.call("syncGroup", { ...group, ...names, assignments }, Math.min(version, 5));
      expect(Buffer.from(synced.assignment).toString()).toBe("mine");
      expect(error(await world.call("heartbeat", group, Math.min(version, 4)))).toBe("NONE");
      const leaving = { groupId: "g", memberId, members: [{ memberId }] };
      const left = await world.call("leaveGroup", leaving, Math.min(version, 5));
      expect(error(left)).toBe("NONE");
      expect(error(await world.call("heartbeat", group, Math.min(version, 4)))).toBe("UNKNOWN_MEMBER_ID");
    }
  });

  test("sessions outside the bounds and empty group ids are refused", async () => {
    await using world = await ready();
    const ask = async (given: Partial<RequestInputOf<"joinGroup">>) =>
      error(await world.call("joinGroup", joining(given)));
    expect(await ask({ sessionTimeoutMs: 5_999 })).toBe("INVALID_SESSION_TIMEOUT");
    expect(await ask({ sessionTimeoutMs: 1_800_001 })).toBe("INVALID_SESSION_TIMEOUT");
    expect(await ask({ groupId: "" })).toBe("INVALID_GROUP_ID");
    expect(await ask({ memberId: "unknown" })).toBe("UNKNOWN_MEMBER_ID");
    expect(await ask({ protocols: [] })).toBe("INCONSISTENT_GROUP_PROTOCOL");
    expect((await world.call("listGroups", {})).groups).toEqual([]); // None of them left a group behind.
  });

  test("from version 5 a sync must name its protocol", async () => {
    await using world = await ready();
    const { memberId, generationId } = await stable(world);
    const request = { groupId: "g", memberId, generationId, assignments: [] };
    expect(error(await world.call("syncGroup", request, 5))).toBe("INCONSISTENT_GROUP_PROTOCOL");
    expect(error(await world.call("syncGroup", request, 4))).toBe("NONE");
  });

  test("leaving a group that is not there blames each member, before version 3 the request", async () => {
    await using world = await ready();
    const batched = await world.call("leaveGroup", { groupId: "x", members: [{ memberId: "m" }] });
    expect([error(batched), error(batched.members[0])]).toEqual(["NONE", "UNKNOWN_MEMBER_ID"]);
    expect(error(await world.call("leaveGroup", { groupId: "x", memberId: "m" }, 2))).toBe("UNKNOWN_MEMBER_ID");
  });

  test("without a coordinator here everybody is sent to find it", async () => {
    await using world = new AdminWorld();
    expect(error(await world.call("joinGroup", joining()))).toBe("NOT_COORDINATOR");
    expect(error(await world.call("heartbeat", { groupId: "g", memberId: "m", generationId: 1 }))).toBe(
      "NOT_COORDINATOR",
    );
    expect(await commit(world, committing(1))).toEqual(["UNKNOWN_TOPIC_OR_PARTITION"]);
  });
});

describe("offsets", () => {
  test("committed in any version are fetched in any version", async () => {
    const [commitMin, commitMax] = apis.offsetCommit.request.versions;
    const [fetchMin, fetchMax] = apis.offsetFetch.request.versions;
    await using world = await ready();
    const topicId = world.metadata.image.topicByName("t")?.id as Uuid;
    for (let version = commitMin; version <= commitMax; version += 1) {
      const [topic] = committing(version).topics;
      expect(
        await commit(
          world,
          committing(version, { topics: [{ ...topic, partitions: topic?.partitions ?? [], topicId }] }),
          version,
        ),
      ).toEqual(["NONE"]);
    }
    for (let version = fetchMin; version <= fetchMax; version += 1) {
      const topics = [{ name: "t", topicId, partitionIndexes: [0, 1] }];
      const request = { groupId: "g", topics, groups: [{ groupId: "g", topics }] };
      const answer = await world.call("offsetFetch", request, version);
      const [topic] = version < 8 ? answer.topics : (answer.groups[0]?.topics ?? []);
      const committedLeaderEpoch = version < 5 ? -1 : 4;
      expect(topic?.partitions).toEqual([
        { partitionIndex: 0, committedOffset: commitMax, committedLeaderEpoch, metadata: "note", errorCode: 0 },
        { partitionIndex: 1, committedOffset: -1, committedLeaderEpoch: -1, metadata: "", errorCode: 0 },
      ]);
    }
  });

  test("null asks for all that a group has, several groups at once from version 8", async () => {
    await using world = await ready("u");
    await commit(world, committing(1));
    expect((await world.call("offsetFetch", { groupId: "g", topics: null }, 2)).topics).toMatchObject([
      { name: "t", partitions: [{ committedOffset: 1 }] },
    ]);
    const groups = [
      { groupId: "g", topics: null },
      { groupId: "h", topics: null },
    ];
    const answer = await world.call("offsetFetch", { groups }, 8);
    expect(answer.groups).toMatchObject([
      { groupId: "g", errorCode: 0, topics: [{ name: "t" }] },
      { groupId: "h", errorCode: 0, topics: [] },
    ]);
  });

  test("are refused one by one: unknown topic, unknown id, note too long", async () => {
    await using world = await ready();
    const at = (partitionIndex: number, committedMetadata: string) => ({
      partitionIndex,
      committedOffset: 5,
      committedMetadata,
    });
    const topics = [
      { name: "t", partitions: [at(0, "x".repeat(4097)), at(1, "x".repeat(4096))] },
      { name: "missing", partitions: [at(0, "")] },
    ];
    expect(await commit(world, committing(0, { topics }))).toEqual([
      "OFFSET_METADATA_TOO_LARGE",
      "NONE",
      "UNKNOWN_TOPIC_OR_PARTITION",
    ]);
    const stranger = "33333333-3333-3333-3333-333333333333" as Uuid;
    expect(
      await commit(world, committing(0, { topics: [{ topicId: stranger, partitions: [at(0, "")] }] }), 10),
    ).toEqual(["UNKNOWN_TOPIC_ID"]);
    const asked = { groups: [{ groupId: "g", topics: [{ topicId: stranger, partitionIndexes: [0] }] }] };
    expect(error((await world.call("offsetFetch", asked, 10)).groups[0]?.topics[0]?.partitions[0])).toBe(
      "UNKNOWN_TOPIC_ID",
    );
  });

  test("with notes that are too long are refused after what the group says", async () => {
    await using world = await ready();
    const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: "x".repeat(4097) }];
    const topics = [{ name: "t", partitions }];
    expect(await commit(world, committing(0, { topics }))).toEqual(["OFFSET_METADATA_TOO_LARGE"]);
    const stranger = { topics, memberId: "stranger", generationIdOrMemberEpoch: 3 };
    expect(await commit(world, committing(0, stranger), 8)).toEqual(["ILLEGAL_GENERATION"]);
  });

  test("are refused for partitions that are not there, whatever the group says", async () => {
    await using world = await ready();
    const at = (partitionIndex: number) => ({ partitionIndex, committedOffset: 1, committedMetadata: "" });
    const topics = [{ name: "t", partitions: [at(2), at(-1), at(0)] }];
    const unknown = "UNKNOWN_TOPIC_OR_PARTITION";
    expect(await commit(world, committing(0, { topics }))).toEqual([unknown, unknown, "NONE"]);
    const stranger = { topics, memberId: "stranger", generationIdOrMemberEpoch: 3 };
    expect(await commit(world, committing(0, stranger), 8)).toEqual([unknown, unknown, "UNKNOWN_MEMBER_ID"]);
    expect(await commit(world, committing(0, { topics: [{ name: "", partitions: [at(0)] }] }))).toEqual([unknown]);
  });

  test("of a generation need a group, which version 9 calls missing", async () => {
    await using world = await ready();
    const by = { memberId: "m", generationIdOrMemberEpoch: 3 };
    expect(await commit(world, committing(1, by), 8)).toEqual(["ILLEGAL_GENERATION"]);
    expect(await commit(world, committing(1, by), 9)).toEqual(["GROUP_ID_NOT_FOUND"]);
  });

  test("are deleted, but not of topics that the group reads", async () => {
    await using world = await ready("u");
    const { memberId, generationId } = await stable(world);
    const by = { memberId, generationIdOrMemberEpoch: generationId };
    const [topic] = committing(1).topics;
    await commit(
      world,
      committing(1, {
        ...by,
        topics: [
          { name: "t", partitions: topic?.partitions ?? [] },
          { name: "u", partitions: topic?.partitions ?? [] },
        ],
      }),
    );
    const partitions = [{ partitionIndex: 0 }];
    const topics = ["t", "u", "missing"].map((name) => ({ name, partitions }));
    const answer = await world.call("offsetDelete", { groupId: "g", topics });
    expect(answer.topics.map((one) => error(one.partitions[0]))).toEqual([
      "GROUP_SUBSCRIBED_TO_TOPIC",
      "NONE",
      "UNKNOWN_TOPIC_OR_PARTITION",
    ]);
    expect(error(await world.call("offsetDelete", { groupId: "nobody", topics }))).toBe("GROUP_ID_NOT_FOUND");
    const beyond = { groupId: "g", topics: [{ name: "u", partitions: [{ partitionIndex: 2 }] }] };
    const [topicAnswer] = (await world.call("offsetDelete", beyond)).topics;
    expect(error(topicAnswer?.partitions[0])).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  });

  test("die with a topic that was deleted before this node had the news, found in a checkpoint", async () => {
    await using world = await ready();
    await commit(world, committing(7));
    const topicId = world.metadata.image.topicByName("t")?.id as Uuid;
    world.metadata.log.jump([{ kind: "delete-topic", topicId }]);
    await world.clock.run(0);
    const groups = [{ groupId: "g", topics: null }];
    expect((await world.call("offsetFetch", { groups }, 9)).groups[0]?.topics).toEqual([]);
  });

  test("die with their topic, so that a topic of the same name starts without any", async () => {
    await using world = await ready();
    await commit(world, committing(7));
    await world.call("deleteTopics", { topics: [{ name: "t", topicId: uuidZero }], timeoutMs: 1 });
    await world.topic("t");
    const groups = [{ groupId: "g", topics: [{ name: "t", partitionIndexes: [0] }] }];
    const answer = await world.call("offsetFetch", { groups }, 9);
    expect(answer.groups[0]?.topics[0]?.partitions[0]?.committedOffset).toBe(-1);
  });
});

describe("groups from outside", () => {
  test("are listed by state and type", async () => {
    await using world = await ready();
    await stable(world);
    await commit(world, { ...committing(1), groupId: "simple" });
    const list = async (given: RequestInputOf<"listGroups"> = {}) =>
      (await world.call("listGroups", given)).groups
        .map((one) => `${one.groupId} ${one.protocolType} ${one.groupState} ${one.groupType}`)
        .sort();
    expect(await list()).toEqual(["g consumer Stable classic", "simple  Empty classic"]);
    expect(await list({ statesFilter: ["empty"] })).toEqual(["simple  Empty classic"]);
    expect(await list({ typesFilter: ["Classic"], statesFilter: ["Stable"] })).toEqual(["g consumer Stable classic"]);
    expect(await list({ typesFilter: ["consumer"] })).toEqual([]);
    for (let version = 0; version <= 5; version += 1) {
      expect((await world.call("listGroups", {}, version)).groups).toHaveLength(2);
    }
  });

  test("are described with members when stable; missing ones are dead, from version 6 not found", async () => {
    await using world = await ready();
    const { memberId } = await stable(world);
    for (let version = 0; version <= 6; version += 1) {
      const { groups } = await world.call(
        "describeGroups",
        { groups: ["g", "nobody"], includeAuthorizedOperations: true },
        version,
      );
      expect(groups[0]).toMatchObject({
        errorCode: 0,
        groupState: "Stable",
        protocolType: "consumer",
        protocolData: "range",
      });
      expect(groups[0]?.members).toMatchObject([{ memberId, clientId: "client", clientHost: "/127.0.0.1" }]);
      expect(Buffer.from(groups[0]?.members[0]?.memberAssignment ?? []).toString()).toBe("mine");
      if (version >= 3) expect(groups[0]?.authorizedOperations).toBe(3400);
      expect(groups[1]).toMatchObject({ groupState: "Dead", errorCode: version < 6 ? 0 : 69 });
      // Of a group that is an error nothing is allowed or forbidden.
      if (version >= 3) expect(groups[1]?.authorizedOperations).toBe(version < 6 ? 3400 : -2147483648);
    }
  });

  test("show what members had while they join again, but no subscriptions", async () => {
    await using world = await ready();
    await stable(world);
    const waiting = world.send("joinGroup", joining({ memberId: "" }), 3);
    await world.call("heartbeat", { groupId: "g", generationId: 1, memberId: "nobody" }); // After it the join has come.
    const { groups } = await world.call("describeGroups", { groups: ["g"] });
    expect(groups[0]?.groupState).toBe("PreparingRebalance");
    const assigned = groups[0]?.members.map(({ memberAssignment }) => Buffer.from(memberAssignment).toString()).sort();
    expect(assigned).toEqual(["", "mine"]);
    expect(groups[0]?.members.every(({ memberMetadata }) => memberMetadata.length === 0)).toBe(true);
    await world.clock.until(waiting);
  });

  test("are deleted when empty, each with its own answer", async () => {
    await using world = await ready();
    await stable(world);
    await commit(world, { ...committing(1), groupId: "simple" });
    const { results } = await world.call("deleteGroups", { groupsNames: ["g", "simple", "nobody"] });
    expect(results.map((one) => `${one.groupId} ${error(one)}`)).toEqual([
      "g NON_EMPTY_GROUP",
      "simple NONE",
      "nobody GROUP_ID_NOT_FOUND",
    ]);
  });
});

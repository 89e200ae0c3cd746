/** Proves: who may not is shown nothing and changes nothing, through the handlers themselves. */
import { describe, expect, test } from "vitest";
import {
  aclKey,
  operations,
  patternTypes,
  permissions,
  type ResourceKind,
  resourceTypes,
} from "../../../src/access/acl.ts";
import { AuditLog } from "../../../src/access/audit-log.ts";
import { Authorizer } from "../../../src/access/authorizer.ts";
import { uuidZero } from "../../../src/base/ids.ts";
import { aclHandlers } from "../../../src/handlers/access/acls.ts";
import { guarded } from "../../../src/handlers/guard/guard.ts";
import { guardRules } from "../../../src/handlers/guard/guard-rules.ts";
import { mayCreateTopic } from "../../../src/handlers/guard/guard-streams-groups.ts";
import { type ApiName, apis, type RequestInputOf, type ResponseOf } from "../../../src/protocol/api-table.ts";
import type { Handlers, RequestContext } from "../../../src/protocol/dispatch.ts";
import { context } from "../../support/log-world.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { noMetrics } from "../../support/no-metrics.ts";
import { AdminWorld, error } from "../admin-world.ts";

interface Line {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const tellsAllowed = (): boolean => false;

/** An admin's world in which alice may do what the test allows. */
class GuardedWorld extends AdminWorld {
  readonly lines: Line[] = [];
  readonly #authorizer: Authorizer;
  readonly #guarded: Handlers;
  readonly reached: string[] = [];

  constructor(options: { readonly createsTopics?: boolean } = {}) {
    const createsTopics = options.createsTopics ?? false;
    super({ topicAutoCreate: createsTopics });
    const log = (message: string, fields: Line["fields"] = {}): void => void this.lines.push({ message, fields });
    const logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
    const clock = new ManualClock();
    const audit = new AuditLog({
      logger,
      clock,
      denialsPerSecondMax: 100,
      denials: noMetrics.accessDenied,
      tellsAllowed,
    });
    const { metadata } = this;
    this.#authorizer = new Authorizer({ metadata, superUsers: ["User:root"], allowsWithoutAcl: false, audit });
    const all = { ...this.handlers, ...aclHandlers({ metadata, audit, limits: { aclsMax: 5 }, clock }) };
    const watched = Object.entries(all).map(([name, handler]) => [
      name,
      (...args: Parameters<typeof handler>) => {
        this.reached.push(name);
        return (handler as (...args: readonly unknown[]) => unknown)(...args);
      },
    ]);
    const handlers = Object.fromEntries(watched) as Handlers;
    this.#guarded = guarded(handlers, { authorizer: this.#authorizer, metadata, createsTopics, rules: guardRules });
  }

  override mayCreate(topic: string, asking: RequestContext): boolean {
    return mayCreateTopic(this.#authorizer.access("streamsGroupHeartbeat", asking), topic);
  }

  override maySee(topic: string, asking: RequestContext): boolean {
    return this.#authorizer.access("consumerGroupHeartbeat", asking).could("describe", "topic", topic);
  }

  allow(operation: keyof typeof operations, kind: ResourceKind, name: string, who = "alice"): void {
    const key = aclKey({
      resourceType: resourceTypes[kind],
      resourceName: name,
      patternType: patternTypes.literal,
      principal: `User:${who}`,
      host: "*",
      operation: operations[operation],
      permissionType: permissions.allow,
    });
    this.metadata.apply([{ kind: "set-facts", facts: [{ table: "acls", key, value: "" }] }]);
  }

  /** Through the wire format both ways. */
  async as<Name extends ApiName>(
    who: string,
    name: Name,
    request: RequestInputOf<Name>,
    apiVersion: number = apis[name].request.versions[1],
  ): Promise<ResponseOf<Name>> {
    const { request: asked, response } = apis[name];
    const handler = this.#guarded[name] as unknown as (request: unknown, context: unknown) => Promise<unknown>;
    const decoded = asked.decode(asked.encode(request as never, apiVersion), apiVersion);
    const principal = { type: "User", name: who, isTokenAuthenticated: false } as const;
    const answer = await this.clock.until(handler(decoded, context({ apiVersion, principal })));
    return response.decode(response.encode(answer as never, apiVersion), apiVersion) as ResponseOf<Name>;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#authorizer[Symbol.dispose]();
    await super[Symbol.asyncDispose]();
  }
}

test.each([0, 2])("who may elect no leaders is told so of each partition, in version %i", async (version) => {
  await using world = new GuardedWorld();
  const topicPartitions = [{ topic: "t", partitions: [0, 1] }];
  const answer = await world.as("bob", "electLeaders", { electionType: 0, topicPartitions, timeoutMs: 1 }, version);
  const [topic] = answer.replicaElectionResults;
  expect(topic?.partitionResult.map((each) => `${each.partitionId} ${error(each)}`)).toEqual([
    "0 CLUSTER_AUTHORIZATION_FAILED",
    "1 CLUSTER_AUTHORIZATION_FAILED",
  ]);
});

describe("what is not named", () => {
  test("is not shown: topics, offsets and groups that may not be described", async () => {
    await using world = new GuardedWorld();
    await world.topic("seen");
    await world.topic("hidden");
    world.allow("describe", "topic", "seen");
    const names = async (who: string): Promise<unknown> =>
      (await world.as(who, "metadata", { topics: null })).topics.map(({ name }) => name);
    expect(await names("alice")).toEqual(["seen"]);
    expect(await names("bob")).toEqual([]);
    expect(await names("root")).toEqual(["hidden", "seen"]);
    const page = await world.as("alice", "describeTopicPartitions", {
      topics: [],
      responsePartitionLimit: 1,
      cursor: null,
    });
    expect(page.topics.map(({ name }) => name)).toEqual(["seen"]);
    expect(page.nextCursor).toBeNull();
    expect(world.lines).toEqual([]); // Nobody asked for what is hidden.
  });

  test("is not shown in version 0 either, whether all topics are asked for or only what may not be seen", async () => {
    await using world = new GuardedWorld();
    await world.topic("seen");
    await world.topic("hidden");
    world.allow("describe", "topic", "seen");
    const asked = async (who: string, ...topics: string[]): Promise<unknown> => {
      const answer = await world.as(who, "metadata", { topics: topics.map((name) => ({ name })) }, 0);
      return answer.topics.map((topic) => `${topic.name} ${error(topic)}`);
    };
    expect(await asked("alice")).toEqual(["seen NONE"]);
    expect(await asked("bob")).toEqual([]);
    expect(await asked("alice", "hidden")).toEqual(["hidden TOPIC_AUTHORIZATION_FAILED"]);
    expect(await asked("bob", "other")).toEqual(["other TOPIC_AUTHORIZATION_FAILED"]);
  });

  test("a page goes on after a topic that was deleted meanwhile, or is hidden", async () => {
    await using world = new GuardedWorld();
    for (const name of ["a", "b", "d"]) await world.topic(name);
    for (const name of ["a", "c", "d"]) world.allow("describe", "topic", name);
    const after = async (topicName: string, names: readonly string[]) => {
      const topics = names.map((name) => ({ name }));
      const cursor = { topicName, partitionIndex: 0 };
      const page = await world.as("alice", "describeTopicPartitions", { topics, responsePartitionLimit: 9, cursor });
      return page.topics.map((topic) => `${topic.name} ${error(topic)}`);
    };
    expect(await after("c", [])).toEqual(["d NONE"]);
    expect(await after("b", ["a", "b", "d"])).toEqual(["d NONE", "b TOPIC_AUTHORIZATION_FAILED"]);
    expect(await after("d", ["a", "b", "d"])).toEqual(["d NONE"]);
    expect(await after("c", ["d"])).toEqual(["d INVALID_REQUEST"]);
  });

  test("an id tells that there is a topic, and not its name", async () => {
    await using world = new GuardedWorld();
    await world.topic("hidden");
    const topicId = world.metadata.image.topicByName("hidden")?.id ?? uuidZero;
    const strange = "00000000-0000-4000-8000-000000000099" as typeof topicId;
    const { topics } = await world.as("alice", "metadata", {
      topics: [topicId, strange].map((id) => ({ topicId: id, name: null })),
    });
    expect(topics.map((topic) => [error(topic), topic.name, topic.topicId])).toEqual([
      ["UNKNOWN_TOPIC_ID", null, strange],
      ["TOPIC_AUTHORIZATION_FAILED", null, topicId],
    ]);
    const removed = await world.as("alice", "deleteTopics", { topics: [{ name: null, topicId }], timeoutMs: 1 });
    expect(removed.responses.map((topic) => [error(topic), topic.name])).toEqual([
      ["TOPIC_AUTHORIZATION_FAILED", null],
    ]);
  });

  test("a topic is created on demand only for those who may create it", async () => {
    await using world = new GuardedWorld({ createsTopics: true });
    world.allow("describe", "topic", "new");
    const ask = async (): Promise<unknown> =>
      (await world.as("alice", "metadata", { topics: [{ name: "new" }] })).topics.map((topic) => error(topic));
    expect(await ask()).toEqual(["TOPIC_AUTHORIZATION_FAILED"]);
    expect(world.metadata.image.topicByName("new")).toBeUndefined();
    world.allow("create", "cluster", "kafka-cluster");
    expect(await ask()).toEqual(["NONE"]);
  });
});

describe("a streams application", () => {
  const internal = { name: "g-counts-changelog", partitions: 0, replicationFactor: 0, topicConfigs: [] };
  const topology = {
    epoch: 0,
    subtopologies: [
      {
        subtopologyId: "0",
        sourceTopics: ["t"],
        sourceTopicRegex: [],
        stateChangelogTopics: [internal],
        repartitionSinkTopics: [],
        repartitionSourceTopics: [],
        copartitionGroups: [],
      },
    ],
  };

  test("has its internal topics made with the rights of its member, and shows its topics to those who may see them", async () => {
    await using world = new GuardedWorld();
    await world.topic("t");
    await world.call("findCoordinator", { coordinatorKeys: ["g"] });
    world.allow("read", "group", "g");
    const join = async () => {
      const request = { groupId: "g", memberId: "m", memberEpoch: 0, rebalanceTimeoutMs: 1000, topology };
      return await world.as("alice", "streamsGroupHeartbeat", request);
    };
    world.allow("describe", "topic", "t");
    expect(error(await join())).toBe("TOPIC_AUTHORIZATION_FAILED");
    world.allow("describe", "topic", internal.name);
    const detail = async () => (await join()).status?.find(({ statusCode }) => statusCode === 3)?.statusDetail;
    expect(await detail()).toBe(
      `Internal topics are missing: ${internal.name}; Unauthorized to CREATE on topics ${internal.name}.`,
    );
    expect(world.metadata.image.topicByName(internal.name)).toBeUndefined();
    world.allow("create", "topic", internal.name);
    expect(await detail()).toBe(`Internal topics are missing: ${internal.name}`);
    expect(await detail()).toBeUndefined();
    world.allow("describe", "group", "g", "bob");
    const shown = async () => (await world.as("bob", "streamsGroupDescribe", { groupIds: ["g"] })).groups[0];
    expect(await shown()).toMatchObject({ groupState: "", topology: null, members: [] });
    expect(error(await shown())).toBe("TOPIC_AUTHORIZATION_FAILED");
    for (const name of ["t", internal.name]) world.allow("describe", "topic", name, "bob");
    expect(await shown()).toMatchObject({ errorCode: 0, members: [{ memberId: "m" }] });
  });
});

test("authorized operations are those that are", async () => {
  await using world = new GuardedWorld();
  await world.topic("t");
  world.allow("write", "topic", "t");
  const answer = await world.as("alice", "metadata", {
    topics: [{ name: "t" }],
    includeTopicAuthorizedOperations: true,
  });
  expect(answer.topics[0]?.topicAuthorizedOperations).toBe((1 << operations.write) | (1 << operations.describe));
  const cluster = async (who: string): Promise<number> =>
    (await world.as(who, "describeCluster", { includeClusterAuthorizedOperations: true })).clusterAuthorizedOperations;
  expect(await cluster("alice")).toBe(0);
  expect(await cluster("root")).toBe(0b1_1111_1010_0000);
});

describe("ACLs themselves", () => {
  const creation = {
    resourceType: resourceTypes.topic,
    resourceName: "t",
    resourcePatternType: patternTypes.literal,
    principal: "User:alice",
    host: "*",
    operation: operations.describe,
    permissionType: permissions.allow,
  };
  const everything = {
    resourceTypeFilter: 1,
    resourceNameFilter: null,
    patternTypeFilter: 1,
    principalFilter: null,
    hostFilter: null,
    operation: 1,
    permissionType: 1,
  };

  test("are created, in force at once, found by filters, and deleted alone", async () => {
    await using world = new GuardedWorld();
    await world.topic("t");
    const prefixed = { ...creation, resourceName: "te", resourcePatternType: patternTypes.prefixed };
    const { results } = await world.as("root", "createAcls", { creations: [creation, prefixed, creation] });
    expect(results.map((each) => error(each))).toEqual(["NONE", "NONE", "NONE"]);
    expect(world.metadata.image.facts("acls").size).toBe(2);
    expect(
      (await world.as("alice", "metadata", { topics: [{ name: "t" }] })).topics.map((each) => error(each)),
    ).toEqual(["NONE"]);
    const find = async (filter: Partial<typeof everything>): Promise<readonly string[]> =>
      (await world.as("root", "describeAcls", { ...everything, ...filter })).resources.map(
        ({ resourceName }) => resourceName,
      );
    expect(await find({})).toEqual(["t", "te"]);
    expect(await find({ resourceNameFilter: "test" as never, patternTypeFilter: 2 })).toEqual(["te"]);
    expect(await find({ resourceNameFilter: "test" as never })).toEqual([]);
    const { filterResults } = await world.as("root", "deleteAcls", {
      filters: [{ ...everything, patternTypeFilter: patternTypes.prefixed }],
    });
    expect(filterResults[0]?.matchingAcls.map(({ resourceName }) => resourceName)).toEqual(["te"]);
    expect(await find({})).toEqual(["t"]);
    expect(world.lines.map(({ message }) => message)).toEqual(["ACL added", "ACL added", "ACL removed"]);
  });

  test("CVE-2024-27309: removing one leaves all others of its resource in force", async () => {
    await using world = new GuardedWorld();
    await world.topic("t");
    const of = (who: string, fields = {}) => ({ ...creation, principal: `User:${who}`, ...fields });
    const denial = of("dave", { permissionType: permissions.deny });
    const creations = [of("alice"), of("bob"), of("carol"), of("dave", { operation: operations.read }), denial];
    await world.as("root", "createAcls", { creations });
    const seen = async (): Promise<unknown> => {
      const sees = async (who: string) => (await world.as(who, "metadata", { topics: null })).topics.length === 1;
      const all = await Promise.all(
        ["alice", "bob", "carol", "dave"].map(async (who) => ((await sees(who)) ? [who] : [])),
      );
      return all.flat();
    };
    expect(await seen()).toEqual(["alice", "bob", "carol"]);
    const remove = async (fields: Partial<typeof everything>) =>
      await world.as("root", "deleteAcls", { filters: [{ ...everything, ...fields }] });
    await remove({ principalFilter: "User:bob" as never });
    expect(await seen()).toEqual(["alice", "carol"]);
    await remove({ principalFilter: "User:alice" as never });
    expect(await seen()).toEqual(["carol"]);
    await remove({ permissionType: permissions.deny });
    expect(await seen()).toEqual(["carol", "dave"]);
  });

  test("that make no sense are refused one by one, and so are too many", async () => {
    await using world = new GuardedWorld();
    const bad = [
      { resourceType: 1 },
      { resourcePatternType: 2 },
      { operation: 1 },
      { permissionType: 0 },
      { resourceName: "" },
      { resourceType: resourceTypes.cluster },
      { principal: "alice" },
    ];
    const { results } = await world.as("root", "createAcls", {
      creations: [...bad.map((fields) => ({ ...creation, ...fields })), creation],
    });
    expect(results.map((each) => error(each))).toEqual([...bad.map(() => "INVALID_REQUEST"), "NONE"]);
    const many = Array.from({ length: 5 }, (_, n) => ({ ...creation, resourceName: `n${n}` }));
    const more = await world.as("root", "createAcls", { creations: many });
    expect(more.results.filter((each) => each.errorCode !== 0)).toHaveLength(1);
  });

  test("cannot be set where none are enforced", async () => {
    await using world = new AdminWorld();
    const off = aclHandlers({ metadata: world.metadata, audit: "off", limits: { aclsMax: 5 }, clock: world.clock });
    const asked = { ...everything };
    const codes = [
      (await off.describeAcls(asked, context())) as { errorCode: number },
      ((await off.createAcls({ creations: [creation] }, context())) as ResponseOf<"createAcls">).results[0],
      ((await off.deleteAcls({ filters: [asked] }, context())) as ResponseOf<"deleteAcls">).filterResults[0],
    ];
    expect(codes.map((each) => error(each))).toEqual(codes.map(() => "SECURITY_DISABLED"));
  });
});

test("what is allowed is told where the log is that chatty, with the rule that allowed it", () => {
  const lines: Line[] = [];
  const log = (message: string, fields: Line["fields"] = {}): void => void lines.push({ message, fields });
  const logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  const told = { tells: false };
  const options = { logger, clock: new ManualClock(), denialsPerSecondMax: 2, denials: noMetrics.accessDenied };
  const audit = new AuditLog({ ...options, tellsAllowed: () => told.tells });
  const world = new AdminWorld();
  const { metadata } = world;
  using authorizer = new Authorizer({ metadata, superUsers: ["User:root"], allowsWithoutAcl: true, audit });
  const may = (name: string): boolean => {
    const principal = { type: "User", name, isTokenAuthenticated: false } as const;
    return authorizer.access("fetch", context({ apiVersion: 1, principal })).may("read", "topic", "t");
  };
  expect([may("root"), may("alice")]).toEqual([true, true]);
  expect(lines).toEqual([]);
  told.tells = true;
  expect([may("root"), may("alice")]).toEqual([true, true]);
  const same = { host: "127.0.0.1", api: "fetch", operation: "read", resource: "topic", name: "t" };
  expect(lines).toEqual([
    { message: "access allowed", fields: { principal: "User:root", ...same, rule: "super-user" } },
    { message: "access allowed", fields: { principal: "User:alice", ...same, rule: "none" } },
  ]);
});

test("an attacker does not fill the disk with denials, and what was left out is counted", () => {
  const lines: Line[] = [];
  const log = (message: string, fields: Line["fields"] = {}): void => void lines.push({ message, fields });
  const logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  const clock = new ManualClock();
  const audit = new AuditLog({ logger, clock, denialsPerSecondMax: 2, denials: noMetrics.accessDenied, tellsAllowed });
  const denial = {
    principal: "User:a\nb",
    host: "h",
    api: "fetch",
    operation: "read",
    kind: "topic",
    name: "t",
    verdict: { isAllowed: false, by: "none" },
  } as const;
  for (let count = 0; count < 10; count += 1) audit.denied(denial);
  expect(lines).toHaveLength(2);
  clock.advance(1_001);
  audit.denied(denial);
  expect(lines[2]?.fields).toMatchObject({ leftOut: 8, principal: "User:a\nb" });
});

describe("a regular expression of a group", () => {
  test("means the topics that the member may describe, and is looked at again when that changes", async () => {
    await using world = new GuardedWorld();
    await world.topic("seen");
    await world.topic("hidden");
    await world.call("findCoordinator", { coordinatorKeys: ["g"] });
    world.allow("read", "group", "g");
    world.allow("describe", "topic", "seen");
    const { memberId } = await world.as("alice", "consumerGroupHeartbeat", {
      groupId: "g",
      memberId: "m",
      memberEpoch: 0,
      rebalanceTimeoutMs: 60_000,
      subscribedTopicRegex: ".*d.*|.*s.*",
      topicPartitions: [],
    });
    const targets = async () => {
      const { groups } = await world.as("root", "consumerGroupDescribe", { groupIds: ["g"] });
      const topics = groups[0]?.members[0]?.targetAssignment.topicPartitions.map(({ topicName }) => topicName).sort();
      return { epoch: groups[0]?.groupEpoch ?? 0, topics };
    };
    const before = await targets();
    expect(before.topics).toEqual(["seen"]);
    world.allow("describe", "topic", "hidden");
    const beat = { groupId: "g", memberId: memberId ?? "", memberEpoch: before.epoch };
    await world.as("alice", "consumerGroupHeartbeat", beat);
    await world.clock.run(10_000);
    await world.as("alice", "consumerGroupHeartbeat", beat);
    expect((await targets()).topics).toEqual(["hidden", "seen"]);
  });
});

/** Proves: a request that names as many things as it may takes time linear in them, so that it holds up nobody else. */
import { expect, test } from "vitest";
import {
  type Acl,
  aclKey,
  any,
  resourceTypes as kinds,
  operations,
  patternTypes,
  permissions,
} from "../../src/access/acl.ts";
import { AuditLog } from "../../src/access/audit-log.ts";
import { type ScramMechanism, scramMechanisms } from "../../src/auth/scram-credential.ts";
import { bytesOf } from "../../src/base/bytes.ts";
import { uuidRandom, uuidZero } from "../../src/base/ids.ts";
import type { GroupCoordinator } from "../../src/coordinator/group-coordinator.ts";
import { aclHandlers } from "../../src/handlers/access/acls.ts";
import { scramCredentialsHandlers } from "../../src/handlers/access/scram-credentials.ts";
import { resourceTypes } from "../../src/handlers/configs/describe-configs.ts";
import { listOffsetsHandler } from "../../src/handlers/data/list-offsets.ts";
import { listGroupsHandler } from "../../src/handlers/groups/group-admin.ts";
import { clientQuotasHandlers } from "../../src/handlers/quotas/client-quotas.ts";
import type { ApiName, ResponseInputOf } from "../../src/protocol/api-table.ts";
import type { Answer } from "../../src/protocol/dispatch.ts";
import { responseSteps } from "../../src/protocol/frame.ts";
import { AnswerEncoder } from "../../src/server/answer-encoder.ts";
import { SimRandom } from "../sim/random.ts";
import { BusyClock } from "../support/busy-clock.ts";
import { context } from "../support/log-world.ts";
import { MemoryMetadata } from "../support/memory-metadata.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { silent } from "../support/seeded.ts";
import { AdminWorld } from "./admin-world.ts";

const names = Array.from({ length: 50_000 }, (_, index) => `name-${index}`);
/** Comparing each name with each other one takes several times as long. */
const cpuMsMax = 3_000;

async function cpuMs(run: () => Promise<unknown>): Promise<number> {
  const { user } = process.cpuUsage();
  await run();
  return (process.cpuUsage().user - user) / 1000;
}

const assignments = null;
const existing = 5_000;

function addTopics({ metadata }: AdminWorld): { readonly partitions: number } {
  const random = new SimRandom("topics");
  metadata.apply(
    names.slice(0, existing).map((name) => ({
      kind: "create-topic" as const,
      topicId: uuidRandom(random),
      name: `old.${name}`,
      partitions: 1,
      configs: new Map(),
    })),
  );
  return { partitions: [...metadata.image.topics()].length };
}

const resources = names.map((resourceName) => ({ resourceType: resourceTypes.topic, resourceName, configs: [] }));
const upgrade = { maxVersionLevel: 1, upgradeType: 1 };

test.each<[string, (world: AdminWorld) => Promise<unknown>]>([
  [
    "topics to make",
    (world) =>
      world.call("createTopics", {
        timeoutMs: 1,
        topics: names.map((name) => ({ name, numPartitions: 0, replicationFactor: 1, assignments: [], configs: [] })),
      }),
  ],
  [
    "topics to make whose names nearly collide with as many that there are",
    async (world) => {
      const { partitions } = addTopics(world);
      expect(partitions).toBe(existing);
      await world.call("createTopics", {
        timeoutMs: 1,
        topics: names.map((name) => ({
          name: `new.${name}`,
          numPartitions: 0,
          replicationFactor: 1,
          assignments: [],
          configs: [],
        })),
      });
    },
  ],
  [
    "topics to make, of a cluster that has many",
    async (world) => {
      addTopics(world);
      await world.call("createTopics", {
        timeoutMs: 1,
        validateOnly: true,
        topics: names.slice(0, 10_000).map((name) => ({
          name: `new.${name}`,
          numPartitions: 1,
          replicationFactor: 1,
          assignments: [],
          configs: [],
        })),
      });
    },
  ],
  [
    "topics to enlarge",
    (world) =>
      world.call("createPartitions", {
        topics: names.map((name) => ({ name, count: 2, assignments })),
        timeoutMs: 1,
        validateOnly: true,
      }),
  ],
  [
    "topics to delete",
    (world) => world.call("deleteTopics", { topics: names.map((name) => ({ name, topicId: uuidZero })), timeoutMs: 1 }),
  ],
  ["topics to configure", (world) => world.call("alterConfigs", { resources, validateOnly: true })],
  ["topics to configure in part", (world) => world.call("incrementalAlterConfigs", { resources, validateOnly: true })],
  [
    "topics to describe",
    (world) =>
      world.call("describeConfigs", { resources: resources.map((each) => ({ ...each, configurationKeys: null })) }),
  ],
  [
    "features",
    (world) =>
      world.call("updateFeatures", { featureUpdates: names.map((feature) => ({ feature, ...upgrade })), timeoutMs: 1 }),
  ],
])("%s", { timeout: 60_000 }, async (_, ask) => {
  await using world = new AdminWorld();
  expect(await cpuMs(() => ask(world))).toBeLessThan(cpuMsMax);
});

test("users to describe, and to forget", { timeout: 60_000 }, async () => {
  const { describeUserScramCredentials, alterUserScramCredentials } = scramCredentialsHandlers({
    metadata: new MemoryMetadata(),
  });
  const users = names.map((name) => ({ name }));
  const mechanism = 1 + scramMechanisms.indexOf("SCRAM-SHA-256" satisfies ScramMechanism);
  const deletions = users.map((user) => ({ ...user, mechanism }));
  expect(await cpuMs(() => describeUserScramCredentials({ users }))).toBeLessThan(cpuMsMax);
  expect(await cpuMs(() => alterUserScramCredentials({ deletions, upsertions: [] }))).toBeLessThan(cpuMsMax);
});

test("quotas of a user", { timeout: 60_000 }, async () => {
  const { alterClientQuotas } = clientQuotasHandlers({ metadata: new MemoryMetadata(), limits: { quotasMax: 10 } });
  const entity = [{ entityType: "user", entityName: "alice" }];
  const ops = names.map((key) => ({ key, value: 1, remove: false }));
  const context = undefined as never; // It is not looked at.
  const ask = async () => await alterClientQuotas({ entries: [{ entity, ops }], validateOnly: false }, context);
  expect(await cpuMs(ask)).toBeLessThan(cpuMsMax);
});

const acl = (principal: string): Acl => ({
  resourceType: kinds.topic,
  resourceName: "t",
  patternType: patternTypes.literal,
  principal: `User:${principal}`,
  host: "*",
  operation: operations.read,
  permissionType: permissions.allow,
});
const filterOf = (resourceNameFilter: string | null) => ({
  resourceTypeFilter: any,
  resourceNameFilter,
  patternTypeFilter: any,
  principalFilter: null,
  hostFilter: null,
  operation: any,
  permissionType: any,
});

function aclWorld(aclsMax: number) {
  const metadata = new MemoryMetadata();
  const clock = new BusyClock();
  const audit = new AuditLog({
    logger: silent,
    clock,
    denialsPerSecondMax: 1,
    denials: noMetrics.accessDenied,
    tellsAllowed: () => false,
  });
  const facts = names.slice(0, 500).map((name) => ({ table: "acls" as const, key: aclKey(acl(name)), value: "" }));
  metadata.apply([{ kind: "set-facts", facts }]);
  return { metadata, clock, ...aclHandlers({ metadata, audit, limits: { aclsMax }, clock }) };
}

test("ACLs to forget, of a cluster that has many: others have their turns between", { timeout: 120_000 }, async () => {
  const { deleteAcls, clock } = aclWorld(1000);
  const filters = names.slice(0, 10_000).map(filterOf);
  expect(await cpuMs(() => deleteAcls({ filters }, context()))).toBeLessThan(cpuMsMax);
  expect(clock.turns).toBeGreaterThan(1000);
});

test("ACLs that filters match again and again are told as often as there may be ACLs", async () => {
  const { deleteAcls, metadata } = aclWorld(1000);
  const answer = await deleteAcls({ filters: [null, "t", null, "u"].map(filterOf) }, context());
  if (typeof answer === "string") throw new Error(answer);
  expect(answer.filterResults.map(({ errorCode, matchingAcls }) => [errorCode, matchingAcls.length])).toEqual([
    [0, 500],
    [0, 500],
    [42, 0],
    [0, 0],
  ]);
  expect(metadata.image.facts("acls").size).toBe(0);
});

test("groups to list: others have their turns between", async () => {
  const clock = new BusyClock();
  const group = { id: "g", classic: { state: "empty", protocolType: null }, consumer: null, streams: null };
  const shard = { groups: () => names.slice(0, 5000).map((id) => ({ ...group, id })), shares: undefined };
  const coordinator = {
    runtime: { clock },
    allShards: async () => ({ shards: [shard], isComplete: true }),
  } as unknown as GroupCoordinator;
  const answer = await listGroupsHandler(coordinator)({ statesFilter: [], typesFilter: [] }, context());
  if (typeof answer === "string") throw new Error(answer);
  expect(answer.groups).toHaveLength(5000);
  expect(clock.turns).toBeGreaterThan(100);
});

test("offsets to list: others have their turns between", async () => {
  await using world = new AdminWorld();
  addTopics(world);
  await world.clock.run(1);
  const { log, metadata } = world;
  const clock = new BusyClock();
  const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: -2 }];
  const topics = Array.from(metadata.image.topics(), ({ name }) => ({ name, partitions }));
  const request = { replicaId: -1, isolationLevel: 0, topics, timeoutMs: 0 };
  const answer = await listOffsetsHandler({ log, metadata, clock })(request, context({ apiVersion: 11 }));
  if (typeof answer === "string") throw new Error(answer);
  const found = answer.topics.flatMap(({ partitions: ofTopic }) => ofTopic.map((each) => each.offset));
  expect(found).toEqual(topics.map(() => 0));
  expect(clock.turns).toBeGreaterThan(5);
});

test.each<[string, (world: AdminWorld, topics: readonly string[]) => Promise<readonly Uint8Array[]>]>([
  [
    "topics to tell of",
    async ({ handlers }) => {
      const request = { topics: null, allowAutoTopicCreation: false };
      const operations = { includeClusterAuthorizedOperations: false, includeTopicAuthorizedOperations: false };
      const answer = await handlers.metadata({ ...request, ...operations }, context({ apiVersion: 13 }));
      return await encoded("metadata", 13, answer);
    },
  ],
  [
    "topics whose configs to tell",
    async ({ handlers }, topics) => {
      const asked = topics.map((resourceName) => ({ resourceType: resourceTypes.topic, resourceName }));
      const resources = asked.map((resource) => ({ ...resource, configurationKeys: ["retention.ms"] }));
      const request = { resources, includeSynonyms: false, includeDocumentation: false };
      return await encoded("describeConfigs", 4, await handlers.describeConfigs(request, context({ apiVersion: 4 })));
    },
  ],
])("%s: others have their turns between", async (_, ask) => {
  await using world = new AdminWorld();
  addTopics(world);
  const topics = Array.from(world.metadata.image.topics(), ({ name }) => name);
  const bytes = bytesOf(await ask(world, topics));
  expect(bytes).toBeGreaterThan(topics.length * 20);
});

/** As a connection encodes it; meanwhile others had their turns. */
async function encoded<Name extends ApiName>(
  api: Name,
  version: number,
  answer: Answer<ResponseInputOf<Name>>,
): Promise<readonly Uint8Array[]> {
  if (typeof answer === "string") throw new Error(answer);
  const clock = new BusyClock();
  const steps = responseSteps<Name>({ api, version, correlationId: 1 }, answer);
  const views = await new AnswerEncoder(clock).encode(steps, new AbortController().signal);
  expect(clock.turns).toBeGreaterThan(5);
  return views === "gone" ? [] : views;
}

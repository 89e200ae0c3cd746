/** Proves: a request that names as many things as it may takes time linear in them, so that it holds up nobody else. */
import { expect, test } from "vitest";
import { type ScramMechanism, scramMechanisms } from "../../src/auth/scram-credential.ts";
import { uuidRandom, uuidZero } from "../../src/base/ids.ts";
import { scramCredentialsHandlers } from "../../src/handlers/access/scram-credentials.ts";
import { resourceTypes } from "../../src/handlers/configs/describe-configs.ts";
import { clientQuotasHandlers } from "../../src/handlers/quotas/client-quotas.ts";
import { SimRandom } from "../sim/random.ts";
import { MemoryMetadata } from "../support/memory-metadata.ts";
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

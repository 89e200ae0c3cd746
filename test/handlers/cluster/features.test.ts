// Proves: a feature goes only to levels that mean something, all updates of a request stand or fall together, and ApiVersions tells.
import { expect, test } from "vitest";
import { AdminWorld, error } from "../admin-world.ts";

type Update = { feature: string; maxVersionLevel: number; upgradeType?: number; allowDowngrade?: boolean };

async function update(world: AdminWorld, updates: Update[], version = 2): Promise<string | undefined> {
  return error(await world.call("updateFeatures", { featureUpdates: updates }, version));
}

async function finalized(world: AdminWorld): Promise<Record<string, number>> {
  const software = { clientSoftwareName: "a", clientSoftwareVersion: "1" };
  const { finalizedFeatures } = await world.call("apiVersions", software);
  return Object.fromEntries(finalizedFeatures.map(({ name, maxVersionLevel }) => [name, maxVersionLevel]));
}

test("metadata.version is that of 4.3 and stays there", async () => {
  await using world = new AdminWorld();
  expect((await finalized(world))["metadata.version"]).toBe(30);
  const feature = "metadata.version";
  expect(await update(world, [{ feature, maxVersionLevel: 30 }])).toBe("NONE");
  const refusals = [
    { feature, maxVersionLevel: 31 },
    { feature, maxVersionLevel: 29 },
    { feature, maxVersionLevel: 29, upgradeType: 2 },
    { feature, maxVersionLevel: 30, upgradeType: 4 },
    { feature, maxVersionLevel: -1 },
    { feature, maxVersionLevel: 31, upgradeType: 3 },
    { feature: "unheard.of", maxVersionLevel: 1 },
    { feature: "kraft.version", maxVersionLevel: 2 },
    { feature: "streams.version", maxVersionLevel: 0, upgradeType: 2 },
  ];
  for (const refusal of refusals) expect(await update(world, [refusal])).toBe("INVALID_UPDATE_VERSION");
  expect((await finalized(world))["metadata.version"]).toBe(30);
});

test("what belongs to release 4.3 is finalized, so that an upgrade to it changes nothing", async () => {
  await using world = new AdminWorld();
  const release = {
    "metadata.version": 30,
    "kraft.version": 1,
    "transaction.version": 2,
    "group.version": 1,
    "eligible.leader.replicas.version": 1,
    "share.version": 1,
    "streams.version": 1,
  };
  expect(await finalized(world)).toEqual(release);
  const updates = Object.entries(release).map(([feature, maxVersionLevel]) => ({ feature, maxVersionLevel }));
  expect(await update(world, updates)).toBe("NONE");
});

test("one update that is refused refuses all", async () => {
  await using world = new AdminWorld();
  const updates = [
    { feature: "metadata.version", maxVersionLevel: 30 },
    { feature: "unheard.of", maxVersionLevel: 1 },
  ];
  for (const version of [0, 1]) {
    const { results, errorCode } = await world.call("updateFeatures", { featureUpdates: updates }, version);
    expect(error({ errorCode })).toBe("INVALID_UPDATE_VERSION");
    expect(results).toEqual([]);
  }
  const twice = [updates[0], updates[0]].filter((each) => each !== undefined);
  expect(await update(world, twice)).toBe("INVALID_REQUEST");
});

test("a level that was set is kept in the metadata and told by ApiVersions", async () => {
  await using world = new AdminWorld();
  world.metadata.apply([{ kind: "set-facts", facts: [{ table: "features", key: "metadata.version", value: "29" }] }]);
  expect((await finalized(world))["metadata.version"]).toBe(29);
  const feature = "metadata.version";
  const validateOnly = { featureUpdates: [{ feature, maxVersionLevel: 30 }], validateOnly: true };
  expect(error(await world.call("updateFeatures", validateOnly))).toBe("NONE");
  expect((await finalized(world))["metadata.version"]).toBe(29);
  expect(await update(world, [{ feature, maxVersionLevel: 30 }])).toBe("NONE");
  expect((await finalized(world))["metadata.version"]).toBe(30);
});

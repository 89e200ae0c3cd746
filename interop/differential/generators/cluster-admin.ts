/** What administrators ask of the cluster: where replicas are, features, the quorum, who may do what and how much. */
import { type Uuid, uuidZero } from "../../../src/base/ids.ts";
import type { Draw } from "../draw.ts";
import type { Generator } from "../generator.ts";
import { fresh } from "../step.ts";

const strangeId = "00000000-0000-0000-0000-0000000000aa" as Uuid;

export const alterReplicaLogDirs: Generator<"alterReplicaLogDirs"> = (draw) => ({
  api: "alterReplicaLogDirs",
  version: draw.version("alterReplicaLogDirs"),
  connection: "main",
  body: { dirs: [{ path: "/no/such/dir", topics: [{ name: draw.ownTopic(), partitions: [draw.partition()] }] }] },
});

export const describeLogDirs: Generator<"describeLogDirs"> = (draw) => ({
  api: "describeLogDirs",
  version: draw.version("describeLogDirs"),
  connection: "main",
  body: {
    topics: draw.distinct(
      2,
      () => ({ topic: draw.ownTopic(), partitions: [draw.partition()] }),
      ({ topic }) => topic,
    ),
  },
});

export const electLeaders: Generator<"electLeaders"> = (draw) => {
  const version = draw.version("electLeaders");
  return {
    api: "electLeaders",
    version,
    connection: "main",
    body: {
      electionType: version >= 1 ? draw.mostly(draw.of([0, 1]), [2], 0.05) : 0,
      topicPartitions: draw.distinct(
        2,
        () => ({ topic: draw.ownTopic(), partitions: [draw.partition()] }),
        ({ topic }) => topic,
      ),
      timeoutMs: 10_000,
    },
  };
};

export const alterPartitionReassignments: Generator<"alterPartitionReassignments"> = (draw) => {
  const version = draw.version("alterPartitionReassignments");
  return {
    api: "alterPartitionReassignments",
    version,
    connection: "main",
    body: {
      timeoutMs: 10_000,
      allowReplicationFactorChange: version >= 1 ? draw.chance(0.7) : true,
      topics: draw.distinct(
        2,
        () => ({
          name: draw.ownTopic(),
          partitions: [
            {
              partitionIndex: draw.partition(),
              replicas: draw.mostly([1], [null, [], [2], [1, 1], [-1], [1, 2]], 0.6),
            },
          ],
        }),
        ({ name }) => name,
      ),
    },
  };
};

export const listPartitionReassignments: Generator<"listPartitionReassignments"> = (draw) => ({
  api: "listPartitionReassignments",
  version: 0,
  connection: "main",
  body: {
    timeoutMs: 10_000,
    topics: draw.mostly([{ name: draw.ownTopic(), partitionIndexes: [draw.partition()] }], [null, []], 0.3),
  },
});

/** Features stay as they are: other sequences go by them. */
export const updateFeatures: Generator<"updateFeatures"> = (draw) => {
  const version = draw.version("updateFeatures");
  return {
    api: "updateFeatures",
    version,
    connection: "main",
    body: {
      timeoutMs: 10_000,
      featureUpdates: draw
        .distinct(
          2,
          () => ({
            feature: draw.of(["group.version", "transaction.version", "no.such.feature", ""]),
            maxVersionLevel: draw.of([1, 2, 99, -1]),
            ...(version === 0 ? { allowDowngrade: false } : { upgradeType: draw.mostly(1, [0, 4], 0.1) }),
          }),
          ({ feature }) => feature,
          1,
        )
        .filter(({ feature, maxVersionLevel: level }) => version > 0 || level > 2 || !feature.includes(".version")),
      ...(version >= 1 ? { validateOnly: true } : {}),
    },
  };
};

export const describeQuorum: Generator<"describeQuorum"> = (draw) => ({
  api: "describeQuorum",
  version: draw.version("describeQuorum"),
  connection: "main",
  body: {
    topics: [
      {
        topicName: draw.mostly("__cluster_metadata", [`${fresh}a`, ""], 0.3),
        partitions: [{ partitionIndex: draw.mostly(0, [1], 0.2) }],
      },
    ],
  },
});

/** Voters that there are not, of clusters that there are not. */
export const addRaftVoter: Generator<"addRaftVoter"> = (draw) => ({
  api: "addRaftVoter",
  version: draw.version("addRaftVoter"),
  connection: "main",
  body: {
    clusterId: "another",
    timeoutMs: 1000,
    voterId: draw.of([1, 99]),
    voterDirectoryId: strangeId,
    listeners: [],
  },
});
export const removeRaftVoter: Generator<"removeRaftVoter"> = (draw) => ({
  api: "removeRaftVoter",
  version: 0,
  connection: "main",
  body: { clusterId: draw.of([null, "another"]), voterId: 99, voterDirectoryId: draw.of([strangeId, uuidZero]) },
});
/** Brokers that there are not: the one that there is must stay. */
export const unregisterBroker: Generator<"unregisterBroker"> = (draw) => ({
  api: "unregisterBroker",
  version: 0,
  connection: "main",
  body: { brokerId: draw.of([2, -1, 0x7fff_ffff]) },
});
export const listConfigResources: Generator<"listConfigResources"> = (draw) => {
  const version = draw.version("listConfigResources");
  return {
    api: "listConfigResources",
    version,
    connection: "main",
    body: { resourceTypes: version >= 1 ? draw.distinct(2, () => draw.of([2, 4, 8, 16, 32, 99, 0]), String) : [] },
  };
};

const quotaKeys = [
  "producer_byte_rate",
  "consumer_byte_rate",
  "request_percentage",
  "controller_mutation_rate",
  "no_such",
] as const;

function entity(draw: Draw) {
  const user = { entityType: "user", entityName: `${fresh}u` };
  return draw.mostly(
    [user],
    [
      [{ entityType: "client-id", entityName: `${fresh}c` }],
      [user, { entityType: "client-id", entityName: `${fresh}c` }],
      [user, user],
      [],
      [{ entityType: "group", entityName: "g" }],
      [{ entityType: "ip", entityName: "not an address!" }],
      [user, { entityType: "ip", entityName: "127.0.0.9" }],
    ],
    0.5,
  );
}

export const alterClientQuotas: Generator<"alterClientQuotas"> = (draw) => ({
  api: "alterClientQuotas",
  version: draw.version("alterClientQuotas"),
  connection: "main",
  body: {
    entries: draw.some(
      1,
      () => ({
        entity: entity(draw),
        ops: draw.distinct(
          2,
          () => ({
            key: draw.of(quotaKeys),
            value: draw.mostly(draw.of([1000, 50]), [0, -1, 0.5], 0.3),
            remove: draw.chance(0.25),
          }),
          ({ key }) => key,
        ),
      }),
      1,
    ),
    validateOnly: draw.chance(0.2),
  },
});

export const describeClientQuotas: Generator<"describeClientQuotas"> = (draw) => ({
  api: "describeClientQuotas",
  version: draw.version("describeClientQuotas"),
  connection: "main",
  body: {
    components: draw.mostly(
      [{ entityType: "user", matchType: 0, match: `${fresh}u` }],
      [
        [{ entityType: "client-id", matchType: 0, match: `${fresh}c` }],
        [
          { entityType: "user", matchType: 0, match: `${fresh}u` },
          { entityType: "client-id", matchType: 2, match: null },
        ],
        [{ entityType: "user", matchType: 1, match: null }],
        [{ entityType: "user", matchType: 7, match: `${fresh}u` }],
        [{ entityType: "group", matchType: 0, match: "g" }],
        [
          { entityType: "user", matchType: 0, match: `${fresh}u` },
          { entityType: "user", matchType: 0, match: `${fresh}u` },
        ],
      ],
      0.5,
    ),
    strict: draw.chance(0.4),
  },
});

export const describeUserScramCredentials: Generator<"describeUserScramCredentials"> = (draw) => ({
  api: "describeUserScramCredentials",
  version: 0,
  connection: "main",
  body: { users: draw.some(3, () => ({ name: draw.mostly(`${fresh}u`, [`${fresh}unknown`, ""], 0.3) }), 1) },
});

export const alterUserScramCredentials: Generator<"alterUserScramCredentials"> = (draw) => {
  const name = () => draw.mostly(`${fresh}u`, [""], 0.08);
  return {
    api: "alterUserScramCredentials",
    version: 0,
    connection: "main",
    body: {
      deletions: draw.chance(0.3) ? [{ name: name(), mechanism: draw.mostly(1, [2, 0, 9], 0.4) }] : [],
      upsertions: draw.some(2, () => {
        const mechanism = draw.mostly(1, [2, 0, 9], 0.4);
        return {
          name: name(),
          mechanism,
          iterations: draw.mostly(4096, [4095, 16384, 16385, -1], 0.3),
          salt: Uint8Array.of(1, 2, 3),
          saltedPassword: new Uint8Array(mechanism === 2 ? 64 : 32),
        };
      }),
    },
  };
};

const anyAcl = {
  resourceTypeFilter: 1,
  resourceNameFilter: null,
  patternTypeFilter: 1,
  principalFilter: null,
  hostFilter: null,
  operation: 1,
  permissionType: 1,
};

/** Where none are enforced. */
export const describeAcls: Generator<"describeAcls"> = (draw) => ({
  api: "describeAcls",
  version: draw.version("describeAcls"),
  connection: "main",
  body: anyAcl,
});
export const createAcls: Generator<"createAcls"> = (draw) => ({
  api: "createAcls",
  version: draw.version("createAcls"),
  connection: "main",
  body: {
    creations: draw.some(2, () => ({
      resourceType: 2,
      resourceName: `${fresh}a`,
      resourcePatternType: 3,
      principal: "User:a",
      host: "*",
      operation: 3,
      permissionType: 3,
    })),
  },
});
export const deleteAcls: Generator<"deleteAcls"> = (draw) => ({
  api: "deleteAcls",
  version: draw.version("deleteAcls"),
  connection: "main",
  body: { filters: draw.some(2, () => anyAcl) },
});

/** On a listener that asks nobody who it is. */
export const saslHandshake: Generator<"saslHandshake"> = (draw) => ({
  api: "saslHandshake",
  version: draw.version("saslHandshake"),
  connection: "main",
  body: { mechanism: draw.of(["PLAIN", "NO-SUCH", ""]) },
});
export const saslAuthenticate: Generator<"saslAuthenticate"> = (draw) => ({
  api: "saslAuthenticate",
  version: draw.version("saslAuthenticate"),
  connection: "main",
  body: { authBytes: Uint8Array.of(0, 97, 0, 98) },
});

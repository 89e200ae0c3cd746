/** docs/compatibility.md, from the tables that the code itself goes by. */
import { type ApiName, apiNameOf, apis } from "../../src/protocol/api-table.ts";
import { deviations } from "./deviations.ts";
import { generators } from "./generators.ts";
import { kafkaRelease, kafkaVersions } from "./kafka-versions.ts";

/** What other people's clients and tools send, in the suites that run them. */
const membership = ["joinGroup", "syncGroup", "heartbeat", "leaveGroup", "offsetCommit", "offsetFetch"] as const;
const everyClient = ["apiVersions", "metadata", "produce", "fetch", "listOffsets", "findCoordinator"] as const;
const topicAdmin = ["createTopics", "deleteTopics", "createPartitions", "describeConfigs"] as const;
const groupAdmin = ["listGroups", "describeGroups", "deleteGroups", "offsetDelete"] as const;
const transactions = ["addPartitionsToTxn", "addOffsetsToTxn", "txnOffsetCommit", "endTxn"] as const;
const aclAdmin = ["describeAcls", "createAcls", "deleteAcls"] as const;
const modernGroups = ["consumerGroupHeartbeat", "consumerGroupDescribe"] as const;
const sasl = ["saslHandshake", "saslAuthenticate"] as const;
const suites: Readonly<Record<string, readonly ApiName[]>> = {
  differential: Object.keys(generators) as ApiName[],
  clients: [...everyClient, ...membership, ...topicAdmin, "initProducerId"],
  "java-tools": [
    ...everyClient,
    ...membership,
    ...topicAdmin,
    ...groupAdmin,
    "describeTopicPartitions",
    "describeCluster",
    "incrementalAlterConfigs",
    "deleteRecords",
    "initProducerId",
  ],
  "librdkafka-tests": [
    ...everyClient,
    ...membership,
    ...modernGroups,
    ...transactions,
    ...topicAdmin,
    ...groupAdmin,
    ...aclAdmin,
    ...sasl,
    "deleteRecords",
    "initProducerId",
    "incrementalAlterConfigs",
    "getTelemetrySubscriptions",
    "shareGroupHeartbeat",
    "shareFetch",
    "shareAcknowledge",
  ],
  "franz-go-tests": [
    ...everyClient,
    ...membership,
    ...transactions,
    ...topicAdmin,
    ...sasl,
    "initProducerId",
    "offsetForLeaderEpoch",
  ],
  "kafka-streams": [...everyClient, ...membership, ...transactions, ...topicAdmin, "initProducerId", "deleteRecords"],
  "kafka-connect": [...everyClient, ...membership, ...transactions, ...topicAdmin, "initProducerId"],
  "mirror-maker": [...everyClient, ...membership, ...topicAdmin, "initProducerId", "incrementalAlterConfigs"],
  access: [...aclAdmin, "describeClientQuotas", "alterClientQuotas"],
  "secure-tools": [
    ...everyClient,
    ...sasl,
    ...aclAdmin,
    "createTopics",
    "describeUserScramCredentials",
    "alterUserScramCredentials",
    "createDelegationToken",
    "describeDelegationToken",
    "initProducerId",
  ],
  "consumer-groups": [...modernGroups, "listGroups", "offsetCommit", "offsetFetch", "deleteGroups"],
  "share-groups": [
    "shareGroupHeartbeat",
    "shareGroupDescribe",
    "shareFetch",
    "shareAcknowledge",
    "describeShareGroupOffsets",
    "alterShareGroupOffsets",
    "deleteShareGroupOffsets",
  ],
  "streams-groups": ["streamsGroupHeartbeat", "streamsGroupDescribe"],
  "old-clients": [...everyClient, ...membership, ...transactions, ...topicAdmin, "initProducerId", "describeGroups"],
};

export function renderCompatibility(): string {
  const rows = Object.entries(kafkaVersions).map(([key, [name, min, max]]) => {
    const api = apiNameOf(Number(key));
    return `| ${key} | ${name} | ${api === undefined ? "not served" : range(...apis[api].advertised)} | ${range(min, max)} | ${
      api === undefined ? "" : suitesOf(api).join(", ")
    } | ${api === undefined ? "" : deviationsOf(api).join(", ")} |`;
  });
  const notes = deviations.map(({ what, why, apis: names }, index) => {
    const whose = names.length === Object.keys(apis).length ? "all" : names.join(", ");
    return `${index + 1}. ${what} (${whose}) ${why}`;
  });
  return `# Compatibility

Rendered from the code's own tables by \`node scripts/render.ts\`: do not edit.

Every API that a broker of Apache Kafka ${kafkaRelease} has for clients, with the versions that are advertised. The suites are those of
\`interop/\` whose clients send the request; \`differential\` sends generated requests, wrong ones too, to a real Kafka ${kafkaRelease} and to Inlet,
and fails where the answers differ in anything but what stands below (\`npm run interop:differential -- --sequences 2000 [--seed N]\`).
Ids, times, hosts, ports, the wording of messages and the order of lists are left out of the comparison.

| key | API | Inlet | Kafka ${kafkaRelease} | suites | deviations |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}

## Deviations

${notes.join("\n")}

## Not in Kafka ${kafkaRelease} either

| what | what its jars hold | here |
| --- | --- | --- |
| Dead-letter queues of share groups (KIP-1191) | an interface, \`ShareGroupDLQ\`, and one implementation, which does nothing; no class refers to either, and there are no configs of topics or groups for it | the configs (\`errors.deadletterqueue.*\`) are refused as unknown: what a group rejects, or gave out too often, is archived |
`;
}

function range(min: number, max: number): string {
  return min === max ? `${min}` : `${min}-${max}`;
}

function suitesOf(api: ApiName): readonly string[] {
  return Object.entries(suites)
    .filter(([, names]) => names.includes(api))
    .map(([suite]) => suite);
}

/** Those of all APIs are not repeated in every row. */
function deviationsOf(api: ApiName): readonly string[] {
  return deviations.flatMap((deviation, index) =>
    deviation.apis.includes(api) && deviation.apis.length < Object.keys(apis).length ? [`${index + 1}`] : [],
  );
}

import type { RequestInputOf } from "../../../src/protocol/api-table.ts";
import type { Draw } from "../draw.ts";
import type { Generator } from "../generator.ts";
import { fresh, generationOf, type StepOf } from "../step.ts";

type Body = RequestInputOf<"streamsGroupHeartbeat">;
type Subtopology = NonNullable<Body["topology"]>["subtopologies"][number];

/** Often joined as it should be, and then some more heartbeats, which are only of interest in a group that there is. */
export const streamsGroupHeartbeat: Generator<"streamsGroupHeartbeat"> = (draw) => {
  const member = draw.member();
  const step = (body: Body): StepOf<"streamsGroupHeartbeat"> => ({
    api: "streamsGroupHeartbeat",
    version: 0,
    connection: "main",
    label: member,
    body,
  });
  const usual: Body = {
    groupId: `${fresh}s`,
    memberId: member,
    memberEpoch: 0,
    rebalanceTimeoutMs: 30_000,
    topology: { epoch: 0, subtopologies: [subtopology("0", { sourceTopics: [`${fresh}a`] })] },
    ...none,
    processId: `p-${member}`,
    clientTags: [],
  };
  const { topology: _, ...known } = usual;
  const next = (): Body => ({ ...known, memberEpoch: generationOf(member), rebalanceTimeoutMs: -1 });
  if (draw.chance(0.5)) return [step(usual), step(next())];
  return step(draw.chance(0.4) ? joining(draw, usual) : going(draw, next()));
};

const none = { activeTasks: [], standbyTasks: [], warmupTasks: [] };

function subtopology(subtopologyId: string, given: Partial<Subtopology>): Subtopology {
  return {
    subtopologyId,
    sourceTopics: [],
    sourceTopicRegex: [],
    stateChangelogTopics: [],
    repartitionSinkTopics: [],
    repartitionSourceTopics: [],
    copartitionGroups: [],
    ...given,
  };
}

const tasks = [{ subtopologyId: "0", partitions: [0] }];

function joining(draw: Draw, usual: Body): Body {
  const internal = { name: `${fresh}changelog`, partitions: 3, replicationFactor: 0, topicConfigs: [] };
  const odd: readonly Partial<Subtopology>[] = [
    { sourceTopics: [`${fresh}a`, `${fresh}b`] },
    { sourceTopics: [`${fresh}unknown`] },
    { sourceTopics: ["__consumer_offsets"] },
    { sourceTopics: ["sp ace"] },
    { sourceTopics: [`${fresh}a`], sourceTopicRegex: ["a.*"] },
    { sourceTopics: [`${fresh}a`], stateChangelogTopics: [internal] },
    {
      sourceTopics: [`${fresh}a`, `${fresh}b`],
      copartitionGroups: [{ sourceTopics: [0, 1], sourceTopicRegex: [], repartitionSourceTopics: [] }],
    },
  ];
  const subtopologies = draw.mostly(usual.topology?.subtopologies ?? [], [[subtopology("0", draw.of(odd))]], 0.5);
  return {
    ...usual,
    groupId: draw.mostly(`${fresh}s`, [`${fresh}g`, ""], 0.15),
    memberId: draw.mostly(usual.memberId, [""], 0.05),
    topology: draw.mostly({ epoch: draw.mostly(0, [1], 0.2), subtopologies }, [null], 0.1),
    rebalanceTimeoutMs: draw.mostly(30_000, [-1], 0.05),
    rackId: draw.mostly(null, ["", "r"]),
    instanceId: draw.mostly(null, ["", "i"], 0.05),
    activeTasks: draw.mostly([], [null, tasks], 0.1),
    clientTags: draw.mostly([], [null, [{ key: "zone", value: "a" }]], 0.2),
    shutdownApplication: draw.chance(0.05),
  };
}

function going(draw: Draw, next: Body): Body {
  return {
    ...next,
    groupId: draw.mostly(`${fresh}s`, [`${fresh}unknown`, `${fresh}g`], 0.1),
    memberId: draw.mostly(next.memberId, ["stranger", ""], 0.08),
    memberEpoch: draw.mostly(next.memberEpoch, [-1, -1, -2, -3, 99, generationOf(next.memberId, 1)], 0.35),
    activeTasks: draw.mostly(tasks, [null, [], [{ subtopologyId: "x", partitions: [0] }]], 0.5),
    standbyTasks: draw.mostly([], [null], 0.05),
    warmupTasks: draw.mostly([], [null, tasks], 0.1),
    taskOffsets: draw.mostly(null, [[]], 0.05),
    topology: draw.mostly(null, [{ epoch: 0, subtopologies: [] }], 0.05),
  };
}

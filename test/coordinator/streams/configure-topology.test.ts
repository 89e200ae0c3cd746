// Proves: how many partitions internal topics get, which are missing, and what a topology is told that cannot run.
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import { type ConfiguredTopology, configureTopology } from "../../../src/coordinator/streams/configure-topology.ts";
import { isSameTopology, type Subtopology, topologyProblem } from "../../../src/coordinator/streams/topology.ts";

const internal = (name: string, partitions = 0) => ({ name, partitions, replicationFactor: 0, topicConfigs: [] });

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

function configure(subtopologies: readonly Subtopology[], topics: Readonly<Record<string, number>>, tasksMax = 100) {
  const byName = (name: string) => {
    const partitions = topics[name];
    return partitions === undefined ? undefined : { id: name as Uuid, partitions };
  };
  return configureTopology({ epoch: 0, subtopologies }, { byName }, { tasksMax });
}

function configured(...given: Parameters<typeof configure>): ConfiguredTopology {
  const found = configure(...given);
  if ("error" in found) throw new Error(found.detail);
  return found;
}

const wordCount = [
  subtopology("0", { sourceTopics: ["lines"], repartitionSinkTopics: ["words"] }),
  subtopology("1", { repartitionSourceTopics: [internal("words")], stateChangelogTopics: [internal("counts")] }),
];

describe("a word count", () => {
  test("waits for its source", () => {
    const { problem, missing } = configured(wordCount, {});
    expect(problem).toEqual({ kind: "missing-source-topics", detail: "Source topics lines are missing." });
    expect(missing).toEqual([]);
  });

  test("has internal topics as wide as its source, and is ready when they are there", () => {
    const { problem, missing } = configured(wordCount, { lines: 4 });
    expect(problem?.detail).toBe("Internal topics are missing: words, counts");
    expect(missing).toEqual([internal("words", 4), internal("counts", 4)]);
    const ready = configured(wordCount, { lines: 4, words: 4, counts: 4 });
    expect(ready.problem).toBeNull();
    expect([...ready.subtopologies].map(([id, { tasks, isStateful }]) => [id, tasks, isStateful])).toEqual([
      ["0", 4, false],
      ["1", 4, true],
    ]);
  });

  test("refuses topics of another width", () => {
    const { problem } = configured(wordCount, { lines: 4, words: 4, counts: 3 });
    expect(problem).toEqual({
      kind: "incorrectly-partitioned-topics",
      detail: "Existing topic counts has different number of partitions: expected 4, found 3",
    });
  });

  test("may fix the width itself", () => {
    const fixed = [
      wordCount[0] as Subtopology,
      { ...(wordCount[1] as Subtopology), repartitionSourceTopics: [internal("words", 7)] },
    ];
    const { missing } = configured(fixed, { lines: 4 });
    expect(missing).toEqual([internal("words", 7), internal("counts", 7)]);
  });

  test("is no larger than the limit", () => {
    expect(configure(wordCount, { lines: 4 }, 7)).toEqual({
      error: "STREAMS_INVALID_TOPOLOGY",
      detail: "The topology has more than 7 tasks.",
    });
  });
});

describe("joined topics", () => {
  const join = (repartition: readonly ReturnType<typeof internal>[], sourceTopics = ["a", "b"]) => [
    subtopology("0", {
      sourceTopics,
      repartitionSourceTopics: repartition,
      repartitionSinkTopics: repartition.map(({ name }) => name),
      copartitionGroups: [
        {
          sourceTopics: sourceTopics.map((_, index) => index),
          sourceTopicRegex: [],
          repartitionSourceTopics: repartition.map((_, index) => index),
        },
      ],
    }),
  ];

  test("have equally many partitions", () => {
    expect(configured(join([]), { a: 2, b: 2 }).problem).toBeNull();
    expect(configured(join([]), { a: 2, b: 3 }).problem?.detail).toBe(
      "Following topics do not have the same number of partitions: [{a=2, b=3}]",
    );
  });

  test("from outside rule those from inside", () => {
    expect(configured(join([internal("r")]), { a: 3, b: 3 }).missing).toEqual([internal("r", 3)]);
    expect(configured(join([internal("r", 2)]), { a: 3, b: 3 }).problem?.kind).toBe("incorrectly-partitioned-topics");
  });

  test("from inside are as wide as the fixed ones, or the widest", () => {
    const writers = [
      subtopology("w", { sourceTopics: ["a"], repartitionSinkTopics: ["q"] }),
      subtopology("x", { sourceTopics: ["b"], repartitionSinkTopics: ["r"] }),
    ];
    expect(configured([...writers, ...join([internal("q"), internal("r")], [])], { a: 2, b: 5 }).missing).toEqual([
      internal("q", 5),
      internal("r", 5),
    ]);
    expect(configured([...writers, ...join([internal("q", 3), internal("r")], [])], { a: 2, b: 5 }).missing).toEqual([
      internal("q", 3),
      internal("r", 3),
    ]);
  });
});

describe("a topology that can never run", () => {
  test.each([
    [
      "that reads only what it writes",
      [subtopology("0", { repartitionSourceTopics: [internal("r")], repartitionSinkTopics: ["r"] })],
      "There may be loops in the topology",
    ],
    [
      "that reads what nobody writes",
      [subtopology("0", { sourceTopics: ["lines"], repartitionSourceTopics: [internal("r")] })],
      "never used as a sink topic",
    ],
    ["without sources", [subtopology("0", {})], "No source topics found for subtopology 0"],
  ])("%s", (_, subtopologies, detail) => {
    const found = configure(subtopologies, { lines: 1 });
    expect("error" in found ? found : undefined).toMatchObject({ error: "STREAMS_INVALID_TOPOLOGY" });
    expect("error" in found ? found.detail : "").toContain(detail);
  });

  test("is told from its form alone", () => {
    const problem = (...subtopologies: Subtopology[]) => topologyProblem({ epoch: 0, subtopologies });
    const twice = subtopology("0", { sourceTopics: ["lines"] });
    expect(problem(twice)).toBeUndefined();
    expect(problem(twice, twice)).toContain("more than once");
    expect(problem(subtopology("0", { stateChangelogTopics: [internal("c", 3)] }))).toContain("is set to 3");
    const outside = [{ sourceTopics: [1], sourceTopicRegex: [], repartitionSourceTopics: [] }];
    expect(problem({ ...twice, copartitionGroups: outside })).toContain("not there");
    const below = [{ sourceTopics: [], sourceTopicRegex: [], repartitionSourceTopics: [-1] }];
    expect(problem({ ...twice, copartitionGroups: below })).toContain("not there");
  });
});

test("topologies are the same in any order of their subtopologies, and not in another epoch", () => {
  const reversed = [...wordCount].reverse();
  expect(isSameTopology({ epoch: 0, subtopologies: wordCount }, { epoch: 0, subtopologies: reversed })).toBe(true);
  expect(isSameTopology({ epoch: 0, subtopologies: wordCount }, { epoch: 1, subtopologies: wordCount })).toBe(false);
});

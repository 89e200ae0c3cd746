import { inspect } from "node:util";
import { uuidZero } from "../../../src/base/ids.ts";
import type { Generator } from "../generator.ts";
import { sessionOf, topicIdOf } from "../step.ts";

export const fetch: Generator<"fetch"> = (draw) => {
  const version = draw.version("fetch");
  const isSession = draw.chance(0.4);
  const topic = () => {
    const name = draw.ownTopic();
    return {
      topic: version >= 13 ? "" : name,
      topicId: version >= 13 ? topicIdOf(name) : uuidZero,
    };
  };
  return {
    api: "fetch",
    version,
    connection: "main",
    label: "session",
    body: {
      replicaId: -1,
      maxWaitMs: draw.of([0, 20]),
      minBytes: draw.mostly(1, [0, -1, 1_000_000]),
      maxBytes: draw.mostly(1 << 20, [0, 100, 0x7fff_ffff]),
      isolationLevel: draw.of([0, 1]),
      sessionId: isSession ? draw.mostly(sessionOf("session"), [12345], 0.05) : 0,
      sessionEpoch: isSession ? draw.of([0, 1, 1, 2, 3, -1]) : draw.of([-1, -1, 0, 0, 1]),
      topics: draw.distinct(
        2,
        () => ({
          ...topic(),
          partitions: draw.distinct(
            2,
            () => ({
              partition: draw.partition(),
              currentLeaderEpoch: draw.mostly(-1, [0, 1, 99, -2], 0.2),
              fetchOffset: draw.mostly(draw.int(4), [-1, 100, -2], 0.15),
              lastFetchedEpoch: draw.mostly(-1, [0, 5], 0.05),
              logStartOffset: draw.mostly(-1, [0, 5], 0.05),
              partitionMaxBytes: draw.mostly(1 << 20, [0, 1, 100], 0.2),
            }),
            ({ partition }) => partition,
            1,
          ),
        }),
        ({ topic: name, topicId }) => `${name} ${inspect(topicId)}`,
      ),
      forgottenTopicsData: draw.chance(0.15) ? [{ ...topic(), partitions: [draw.partition()] }] : [],
      rackId: draw.mostly("", ["r"]),
    },
  };
};

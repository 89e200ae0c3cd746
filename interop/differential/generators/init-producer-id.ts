import type { Generator } from "../generator.ts";
import { producerEpochOf, producerIdOf } from "../step.ts";

export const initProducerId: Generator<"initProducerId"> = (draw) => {
  const isAgain = draw.chance(0.3);
  return {
    api: "initProducerId",
    version: draw.version("initProducerId"),
    connection: "main",
    label: draw.of(["p0", "p0", "p1"]),
    body: {
      transactionalId: draw.mostly(null, [""], 0.1),
      transactionTimeoutMs: draw.mostly(60_000, [0, -1, 0x7fff_ffff], 0.2),
      producerId: isAgain ? draw.mostly(producerIdOf("p0"), [-1, 0, 12345], 0.2) : -1,
      producerEpoch: isAgain ? draw.mostly(producerEpochOf("p0"), [-1, 0, 0x7fff], 0.2) : -1,
    },
  };
};

import type { Generator } from "../generator.ts";

export const listGroups: Generator<"listGroups"> = (draw) => {
  const version = draw.version("listGroups");
  const states = [
    "Stable",
    "stable",
    "Empty",
    "PreparingRebalance",
    "CompletingRebalance",
    "Dead",
    "NoSuchState",
    "",
  ] as const;
  const types = ["classic", "Classic", "consumer", "no-such-type", ""] as const;
  return {
    api: "listGroups",
    version,
    connection: "main",
    body: {
      statesFilter: version >= 4 && draw.chance(0.5) ? draw.some(2, () => draw.of(states)) : [],
      typesFilter: version >= 5 && draw.chance(0.5) ? draw.some(2, () => draw.of(types)) : [],
    },
  };
};

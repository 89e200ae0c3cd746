import type { Generator } from "../generator.ts";
import { generationOf, memberOf } from "../step.ts";

export const heartbeat: Generator<"heartbeat"> = (draw) => {
  const member = draw.member();
  const version = draw.version("heartbeat");
  return {
    api: "heartbeat",
    version,
    connection: "main",
    body: {
      groupId: draw.group(),
      generationId: draw.mostly(generationOf(member), [-1, 0, generationOf(member, 1)]),
      memberId: draw.mostly(memberOf(member), ["", "stranger"], 0.1),
      groupInstanceId: version >= 3 ? draw.mostly(null, [`i-${member}`, "i-shared"]) : null,
    },
  };
};

import type { Generator } from "../generator.ts";
import { memberOf } from "../step.ts";

export const leaveGroup: Generator<"leaveGroup"> = (draw) => {
  const version = draw.version("leaveGroup");
  const one = () => draw.mostly(memberOf(draw.member()), ["", "stranger"]);
  return {
    api: "leaveGroup",
    version,
    connection: "main",
    body: {
      groupId: draw.group(),
      memberId: version < 3 ? one() : "",
      members:
        version >= 3
          ? draw.some(
              2,
              () => ({
                memberId: one(),
                groupInstanceId: draw.mostly(null, ["i-m0", "i-m1", "i-shared", "i-none"], 0.3),
                reason: draw.mostly(null, ["because"]),
              }),
              draw.chance(0.95) ? 1 : 0,
            )
          : [],
    },
  };
};

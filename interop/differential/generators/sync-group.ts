import type { Draw } from "../draw.ts";
import type { Generator } from "../generator.ts";
import { fresh, generationOf, memberOf, type StepOf } from "../step.ts";

export const syncGroup: Generator<"syncGroup"> = (draw) => syncOf(draw, draw.member(), { isUsual: false });

export function syncOf(draw: Draw, member: string, { isUsual }: { readonly isUsual: boolean }): StepOf<"syncGroup"> {
  const odd = <const T>(usual: T, rare: readonly T[]): T => (isUsual ? usual : draw.mostly(usual, rare, 0.12));
  const version = draw.version("syncGroup");
  return {
    api: "syncGroup",
    version,
    connection: member,
    body: {
      groupId: isUsual ? `${fresh}g` : draw.group(),
      generationId: odd(generationOf(member), [-1, 0, generationOf(member, 1)]),
      memberId: odd(memberOf(member), ["", "stranger"]),
      groupInstanceId: version >= 3 ? odd(null, [`i-${member}`, "i-shared"]) : null,
      protocolType: version >= 5 ? odd("consumer", ["connect", null]) : null,
      protocolName: version >= 5 ? odd("range", ["sticky", null]) : null,
      assignments: isUsual || draw.chance(0.6) ? [{ memberId: memberOf(member), assignment: Uint8Array.of(1, 2) }] : [],
    },
  };
}

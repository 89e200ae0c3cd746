/** Members whose brokers answered differently at first: both go on with heartbeats until they have the same partitions. */
import { setTimeout as sleep } from "node:timers/promises";
import { normalised, type Plain } from "./normalise.ts";
import { generationOf, type Step, type StepOf } from "./step.ts";
import type { Target } from "./target.ts";

type Heartbeat = StepOf<"shareGroupHeartbeat"> | StepOf<"consumerGroupHeartbeat">;

const triesMax = 100;
const betweenMs = 20;

export function isHeartbeat(step: Step): step is Heartbeat {
  return step.api === "shareGroupHeartbeat" || step.api === "consumerGroupHeartbeat";
}

/** Kafka resolves a regular expression after its answer, whatever that says. */
export function hasPattern({ body }: Heartbeat): boolean {
  return "subscribedTopicRegex" in body && (body.subscribedTopicRegex ?? "") !== "";
}

/** What they have after all this time, where it is not the same. */
export async function settled(
  kafka: Target,
  inlet: Target,
  step: Heartbeat,
): Promise<{ readonly path: string; readonly kafka: Plain; readonly inlet: Plain } | undefined> {
  const [beat, describe] = stepsAfter(step);
  const assigned = async (target: Target): Promise<Plain> => {
    await target.send(beat);
    return assignments(normalised(target, describe, await target.send(describe)));
  };
  for (let tries = 1; ; tries += 1) {
    const [theirs, ours] = await Promise.all([assigned(kafka), assigned(inlet)]);
    if (JSON.stringify(theirs) === JSON.stringify(ours)) return undefined;
    if (tries === triesMax) return { path: "assignments in the end", kafka: theirs, inlet: ours };
    await sleep(betweenMs);
  }
}

function stepsAfter(step: Heartbeat): readonly [beat: Step, describe: Step] {
  const { groupId, memberId } = step.body;
  const { connection, label = "" } = step;
  const next = { groupId, memberId, memberEpoch: generationOf(label) };
  const groups = { groupIds: [groupId], includeAuthorizedOperations: false };
  if (step.api === "shareGroupHeartbeat") {
    const body = { ...next, rackId: null, subscribedTopicNames: null };
    return [
      { api: "shareGroupHeartbeat", version: 1, connection, label, body },
      { api: "shareGroupDescribe", version: 1, connection, body: groups },
    ];
  }
  return [
    { api: "consumerGroupHeartbeat", version: 1, connection, label, body: next },
    { api: "consumerGroupDescribe", version: 1, connection, body: groups },
  ];
}

/** By member; epochs are each broker's own by then. */
function assignments(answer: Plain): Plain {
  const groups = (answer as { readonly groups?: readonly { readonly members?: readonly Plain[] }[] }).groups ?? [];
  const members = groups.flatMap((group) => group.members ?? []);
  return members.map((member) => {
    const { memberId, assignment } = member as { readonly [field: string]: Plain };
    return { memberId: memberId ?? null, assignment: assignment ?? null };
  });
}

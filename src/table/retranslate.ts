/** A pending round's ranges, translated once more from the log, as the table's mapping now stands. */
import type { Uuid } from "../base/ids.ts";
import type { Log } from "../log/log.ts";
import type { PendingRound } from "../metadata/image.ts";
import type { Retranslated } from "./commit/committer.ts";
import type { SchemaCommitter } from "./commit/schema-committer.ts";
import type { RoundWriter } from "./round-writer.ts";
import { liveLane, replayLane } from "./rounds.ts";
import type { TableSettings } from "./settings.ts";

export async function retranslateRound(
  round: PendingRound,
  deps: {
    readonly log: Log;
    readonly writer: RoundWriter;
    readonly settings: TableSettings;
    readonly topicId: Uuid;
    readonly schemas: SchemaCommitter;
    readonly signal: AbortSignal;
  },
): Promise<Retranslated> {
  const { log, topicId, settings } = deps;
  // What was wrong with the round may be what others have done to the table.
  const outcome = await deps.schemas.follow(deps.signal);
  if (outcome.kind !== "ready")
    return { kind: "unavailable", cause: outcome.kind === "paused" ? outcome.reason : outcome.cause };
  const { state } = outcome;
  if (round.lane === replayLane) return { kind: "impossible", reason: "its records were picked from dead letters" };
  if (state.mapping.rowKey !== undefined && round.lane !== liveLane)
    return { kind: "impossible", reason: "which of its rows have no later record was known only when it was made" };
  for (const { partition, from } of round.ranges) {
    const lookup = log.partition(topicId, partition);
    if (lookup.kind !== "here") return { kind: "unavailable", cause: `partition ${partition} is not here` };
    const { logStart } = lookup.partition;
    if (logStart > from) return { kind: "impossible", reason: `partition ${partition} begins at ${logStart} by now` };
  }
  const ranges = round.ranges.map(({ partition, from, to }) => ({ partition, from, readFrom: from, to }));
  const written = await deps.writer.write({ topicId, state, settings, ranges, isWhole: true });
  const { stop, main, deadLetters, deletes } = written;
  if (stop.kind === "failed") return { kind: "unavailable", cause: stop.cause };
  if (stop.kind !== "done") return { kind: "impossible", reason: `translating it again met ${stop.kind}` };
  const isWhole = round.ranges.every(({ to }, index) => written.ranges[index]?.to === to);
  if (!isWhole) return { kind: "unavailable", cause: "not all of its records could be read" };
  const { schemaId, spec, mapping } = state;
  return {
    kind: "translated",
    round: {
      schemaId,
      specId: spec["spec-id"],
      mappingVersion: mapping.version,
      ranges: written.ranges,
      main,
      deadLetters,
      deletes,
    },
  };
}

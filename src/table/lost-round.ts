/** A pending round that brings nothing any more: its files are lost and so are its records, and a person has said that this is so. */
import type { Uuid } from "../base/ids.ts";
import type { Logger } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { MetadataEvent } from "../metadata/events.ts";
import type { PendingRound } from "../metadata/image.ts";
import { replayLane } from "./rounds.ts";
import { encodeTableState, tableStateOf } from "./table-state.ts";
import type { ReplayedStore } from "./tools/replayed.ts";

/** Its ranges hold skips alone. Dead letters that it had made rows of are letters again. */
export async function emptied(
  round: PendingRound,
  deps: {
    readonly metadata: MetadataClient;
    readonly replayed: ReplayedStore;
    readonly logger: Logger;
    readonly topic: string;
    readonly table: Uuid;
  },
): Promise<readonly MetadataEvent[] | string> {
  const { metadata, replayed, logger, topic, table: id } = deps;
  const { seq, ranges, schemaId, specId, mappingVersion, lane } = round;
  const replaced: MetadataEvent = {
    kind: "replace-table-round",
    table: id,
    seq,
    schemaId,
    specId,
    mappingVersion,
    ranges: ranges.map((range) => ({ ...range, skips: range.to - range.from })),
    main: null,
    deadLetters: null,
    deletes: null,
  };
  const lost = ranges.map(({ partition, from, to }) => `${partition}:${from}-${to}`);
  if (lane !== replayLane) {
    logger.error("records of a topic are not in its table, and will not be: their files are lost", {
      topic,
      seq,
      lost,
    });
    return [replaced];
  }
  const table = metadata.image.table(id);
  const state = table === undefined ? undefined : tableStateOf(table);
  if (table === undefined || state?.replayed === undefined) return "nobody knows which dead letters it had replayed";
  const isLast = table.pending.findLast((each) => each.lane === replayLane)?.seq === seq;
  const before = isLast ? await replayed.before(state.replayed) : undefined;
  if (before === undefined) return "only the newest replayed round can be taken back";
  const key = await replayed.write(id, before, []);
  logger.warn("dead letters are to be replayed again: the files of their rows are lost", { topic, seq, lost });
  const schema = encodeTableState({ ...state, replayed: key });
  return [{ kind: "table-schema", table: id, expectedVersion: table.schemaVersion, schema }, replaced];
}

/** A handle that stays when what it leads to is replaced: a store of one process that is closed, put back and opened again. */
import type { CasLog } from "../../../src/metadata/cas-log.ts";

export function forwarding(current: () => CasLog): CasLog {
  return {
    append: (entry) => current().append(entry),
    read: (from, entriesMax) => current().read(from, entriesMax),
    readCheckpoint: () => current().readCheckpoint(),
    writeCheckpoint: (checkpoint) => current().writeCheckpoint(checkpoint),
    [Symbol.asyncDispose]: async () => {}, // The world closes it.
  };
}

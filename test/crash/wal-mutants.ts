/** Bugs for the WAL's crash images to find. */
import type { Mutant } from "../support/mutate.ts";

const file = "src/stream/file-wal.ts";
const recovery = "src/stream/wal-recovery.ts";
const segments = "src/stream/wal-segments.ts";

export const walMutants: Readonly<Record<string, Mutant>> = {
  /** A group is acked when its write has begun. */
  "ack-before-write": {
    file,
    edits: [
      {
        find: "this.#flights.push(flight);",
        put: "this.#flights.push(flight); flight.isWritten = true; queueMicrotask(() => this.#settle());",
      },
    ],
  },
  /** A group that is written acks the ones below it, which may not be. */
  "ack-out-of-order": {
    file,
    edits: [
      {
        find: "        flight.isWritten = true;\n",
        put: "        for (const each of this.#flights) if (each.position <= position) each.isWritten = true;\n",
      },
    ],
  },
  /** Recovery takes the groups behind a hole. */
  "recovery-beyond-a-hole": {
    file: recovery,
    edits: [
      {
        find: "const next = groupAt(bytes, at, segment.start);",
        put: "let next = groupAt(bytes, at, segment.start); while (next === undefined && at + walAlignBytes < bytes.length) { at += walAlignBytes; next = groupAt(bytes, at, segment.start); }",
      },
      {
        find: "group = next !== undefined && continues(last, next) ? next : undefined;",
        put: "group = next !== undefined && next.walId === last.walId && next.seq > last.seq ? next : undefined;",
      },
    ],
  },
  /** A header calls durable what is still being written. */
  "durable-too-early": { file, edits: [{ find: "durable: this.#durable,", put: "durable: position," }] },
  /** What recovery found and nothing proves is not written again: it may be in the page cache alone. */
  "recovered-not-written-again": {
    file,
    edits: [
      {
        find: "for (const { index, group } of tail.unproven) await rewrite(segments[index] as Segment, group);",
        put: "",
      },
    ],
  },
  /** A segment is written into before its name is durable. */
  "name-not-synced": {
    file: segments,
    edits: [
      {
        find: "await this.#disk.syncDirectory(this.#directory);\n    this.#segments.shift();",
        put: "this.#segments.shift();",
      },
    ],
  },
  /** What a life before wrote behind its hole is taken for what follows the groups that were written over the hole. */
  "chain-not-checked": {
    file: recovery,
    edits: [
      {
        find: "const isLinked = next.seq === last.seq + 1 && next.previousCrc === last.headerCrc;",
        put: "const isLinked = next.seq === last.seq + 1;",
      },
      {
        find: "return isLinked && next.walId === last.walId && next.epoch >= last.epoch;",
        put: "return isLinked && next.walId === last.walId;",
      },
    ],
  },
  /** A group whose body is torn is taken for whole. */
  "body-not-checked": {
    file: recovery,
    edits: [{ find: "header !== undefined && isBodyIntact(bytes, at, header) ? header : undefined", put: "header" }],
  },
};

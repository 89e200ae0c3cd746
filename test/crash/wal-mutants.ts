/** Bugs for the WALs' crash images to find. */
import type { Mutant } from "../support/mutate.ts";
import type { WalWorldKind } from "./wal-worlds.ts";

const file = "src/stream/file-wal.ts";
const recovery = "src/stream/wal-recovery.ts";
const segments = "src/stream/wal-segments.ts";

const object = "src/stream/object-wal.ts";
const slots = "src/stream/slot-recovery.ts";
const replicated = "src/stream/replicated-wal.ts";
const union = "src/stream/record-union.ts";
const directory = "src/object-store/local.ts";

interface WalMutant extends Mutant {
  /** Whose images find it. */
  readonly wal: WalWorldKind;
}

export const walMutants: Readonly<Record<string, WalMutant>> = {
  /** A group is acked when its write has begun. */
  "ack-before-write": {
    wal: "file",
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
    wal: "file",
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
    wal: "file",
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
  "durable-too-early": { wal: "file", file, edits: [{ find: "durable: this.#durable,", put: "durable: position," }] },
  /** What recovery found and nothing proves is not written again: it may be in the page cache alone. */
  "recovered-not-written-again": {
    wal: "file",
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
    wal: "file",
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
    wal: "file",
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
    wal: "file",
    file: recovery,
    edits: [{ find: "header !== undefined && isBodyIntact(bytes, at, header) ? header : undefined", put: "header" }],
  },
  /** A slot is acked when its put has begun. */
  "slot-acked-before-put": {
    wal: "object",
    file: object,
    edits: [
      {
        find: "this.#flights.push(flight);",
        put: "this.#flights.push(flight); flight.isWritten = true; queueMicrotask(() => this.#settle());",
      },
    ],
  },
  /** A slot that is there acks those below it, which may not be. */
  "slots-acked-out-of-order": {
    wal: "object",
    file: object,
    edits: [
      {
        find: "        flight.isWritten = true;\n",
        put: "        for (const each of this.#flights) if (each.name.seq <= name.seq) each.isWritten = true;\n",
      },
    ],
  },
  /** A slot calls durable what is still on its way. */
  "slot-durable-too-early": {
    wal: "object",
    file: object,
    edits: [{ find: "durable: this.#flights[0]?.name.seq ?? this.#seq }", put: "durable: this.#seq }" }],
  },
  /** Slots are removed before the metadata log knows that they are not needed. */
  "slots-removed-before-release": {
    wal: "object",
    file: object,
    edits: [
      {
        find: "    if (events.length > 0) await metadata.propose(events);\n",
        put: "    const proposed = events.length > 0 ? metadata.propose(events) : undefined;\n",
      },
      {
        find: "    if (keys.length > 0) this.#remove(keys);\n",
        put: "    if (keys.length > 0) this.#remove(keys); await proposed;\n",
      },
    ],
  },
  /** What a put without an answer has done is taken for another's. */
  "own-slot-taken-for-a-seal": {
    wal: "object",
    file: object,
    edits: [
      {
        find: "{ start: 0, end: slotHeadBytes }), name).id === id;",
        put: "{ start: 0, end: slotHeadBytes }), name).id === created.kind;",
      },
    ],
  },
  /** Recovery ends where a slot is missing, and puts nothing there: what comes late is there the next time. */
  "end-not-sealed": {
    wal: "object",
    file: slots,
    edits: [{ find: "if (await putSeal(options, seq)) return { sealedAt: seq };", put: "return { sealedAt: seq };" }],
  },
  /** A seal that met a slot is taken for there. */
  "seal-over-a-slot": {
    wal: "object",
    file: slots,
    edits: [
      {
        find: "return decodeSlotHead(head, name).id === id; //",
        put: "return head.length > 0 || decodeSlotHead(head, name).id === id; //",
      },
    ],
  },
  /** Recovery takes the slots behind a hole. */
  "slots-beyond-a-hole": {
    wal: "object",
    file: slots,
    edits: [
      {
        find: "    let slot = await reader.read(seq);\n",
        put: "    let slot = (await reader.read(seq)) ?? (await reader.read(seq + 1));\n",
      },
      {
        find: "  if (previous === undefined || head.previous === previous) return;",
        put: "  if (head.seq >= 0) return;",
      },
    ],
  },
  /** An object is put in place before its bytes are durable. */
  "object-not-synced": {
    wal: "directory",
    file: directory,
    edits: [
      {
        find: "      await file.write(viewsOf(body), 0);\n      await file.datasync();\n",
        put: "      await file.write(viewsOf(body), 0);\n",
      },
    ],
  },
  /** A created object is answered before its name is durable. */
  "object-name-not-synced": {
    wal: "directory",
    file: directory,
    edits: [
      {
        find: "await this.#disk.syncDirectory(dirname(path)); // When it exists, too: whoever is told so may rely on it.",
        put: "",
      },
    ],
  },
  /** A record is acked when one half has it. */
  "acked-by-one-half": {
    wal: "replicated",
    file: replicated,
    edits: [
      {
        find: "if (this.#halves.some((half, index) => !half.isLost && next?.ends[index] === undefined)) return;",
        put: "if (this.#halves.every((half, index) => !half.isLost && next?.ends[index] === undefined)) return;",
      },
    ],
  },
  /** What one half alone had is shown, and not given to the other. */
  "union-not-written": {
    wal: "replicated",
    file: replicated,
    edits: [
      {
        find: "const given = union.lackedBy(index as 0 | 1).map(",
        put: "const given = union.lackedBy(index as 0 | 1).slice(0, 0).map(",
      },
    ],
  },
  /** Of two halves the first is believed, whatever the second has. */
  "second-half-not-read": {
    wal: "replicated",
    file: union,
    edits: [{ find: "...this.#second.filter((known) => !isOlder(known))]", put: "]" }],
  },
};

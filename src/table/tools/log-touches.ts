/**
 * What the log says of keys: its records from some offsets on, translated as a commit would translate them, for the keys that
 * they touch and for nothing else. Read a piece at a time, each in a turn of the table, so that live records need not wait;
 * at the end are all records that the table's rounds hold by then.
 */
import { OperationFailed } from "../../base/errors.ts";
import type { Offset } from "../../base/ids.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import { TableStuck } from "../advance.ts";
import { RoundWriter, type RoundWriterDeps, type WrittenRound } from "../round-writer.ts";
import type { NextRange } from "../rounds.ts";
import { evolve, type TableMapping } from "../schema/schema-map.ts";
import type { TableSettings } from "../settings.ts";
import { tableStateOf } from "../table-state.ts";
import type { WorkerTurn } from "../table-worker.ts";
import type { Touches } from "../translate/translate.ts";
import { OffsetSet } from "./replayed.ts";
import type { TailRange } from "./tail.ts";

export interface LogTouchesDeps extends RoundWriterDeps {
  readonly metadata: MetadataClient;
  readonly settings: TableSettings;
}

/** Of record batches at once: the answer is a few ten thousand keys, which the event loop bears. */
const pieceBytes = 1024 * 1024;
/** Between dead letters, looked at in one go. */
const piecesMax = 100;
/** Each question of the records is asked once; a table knows almost all of them already. */
const questionsMax = 100;

export class LogTouches {
  readonly #deps: LogTouchesDeps;
  readonly #note: (touches: Touches) => void;
  readonly #writer: RoundWriter;
  /** By partition, where reading goes on. One that is not among them came since, and is read from its beginning. */
  readonly #from: Map<number, number>;
  /** With what the records asked for, as long as the table's own is the same: nobody writes rows with it. */
  #grown: { readonly version: number; readonly mapping: TableMapping } | undefined;
  #questions = 0;
  #leftOut = new OffsetSet();
  /** Of record batches, so far. */
  bytesRead = 0;

  constructor(deps: LogTouchesDeps, from: ReadonlyMap<number, number>, note: (touches: Touches) => void) {
    this.#deps = deps;
    this.#note = note;
    this.#from = new Map(from);
    const { limits } = deps;
    const roundBytesMax = Math.min(limits.roundBytesMax, pieceBytes);
    this.#writer = new RoundWriter({ ...deps, limits: { ...limits, roundBytesMax } });
  }

  /** Records that are no rows, and touch nothing. */
  leaveOut(places: OffsetSet): void {
    this.#leftOut = places;
  }

  isAtEnd(turn: WorkerTurn): boolean {
    return this.#ranges(turn).length === 0;
  }

  /** As much as a round may read. True: it has got to the end of what is translated. */
  async read(turn: WorkerTurn): Promise<boolean> {
    for (const end = this.bytesRead + this.#deps.limits.roundBytesMax; this.bytesRead < end; ) {
      const ranges = this.#ranges(turn);
      if (ranges.length === 0) return true;
      await this.#piece(turn, ranges);
    }
    return false;
  }

  #ranges(turn: WorkerTurn): readonly NextRange[] {
    const table = this.#deps.metadata.image.table(turn.table.id);
    const views = new Map(turn.views().map((view) => [view.partition, view]));
    return [...(table?.translatedTo ?? [])].flatMap(([partition, to]) => {
      const from = this.#from.get(partition) ?? 0;
      if (from >= to) return [];
      const view = views.get(partition);
      if (view === undefined) throw this.#stuck(`partition ${partition} is not here: ask the broker that has it`);
      return [...this.#without({ partition, from, to })].map((piece) => {
        const readFrom = Math.min(piece.to, Math.max(piece.from, view.logStart));
        return { partition, from: piece.from as Offset, readFrom: readFrom as Offset, to: piece.to as Offset };
      });
    });
  }

  /** The first pieces of the range between what is left out. */
  *#without({
    partition,
    from,
    to,
  }: Pick<TailRange, "partition" | "from" | "to">): Iterable<{ readonly from: number; readonly to: number }> {
    let begin = from;
    let pieces = 0;
    for (const left of this.#leftOut.within({ partition, from, to })) {
      if (begin < left.from) {
        yield { from: begin, to: left.from };
        pieces += 1;
        if (pieces === piecesMax) return;
      }
      begin = left.to;
    }
    if (begin < to) yield { from: begin, to };
  }

  async #piece(turn: WorkerTurn, ranges: readonly NextRange[]): Promise<void> {
    const { metadata, settings } = this.#deps;
    const table = metadata.image.table(turn.table.id);
    const state = table === undefined ? undefined : tableStateOf(table);
    if (table === undefined || state === undefined) throw this.#stuck("the table is gone");
    const { schemaVersion: version } = table;
    const mapping = this.#grown?.version === version ? this.#grown.mapping : state.mapping;
    const round = await this.#writer.write({
      topicId: turn.topic.id,
      state: { ...state, mapping },
      settings: { ...settings, errors: { ...settings.errors, policy: "skip" } },
      ranges,
      choose: async (touches) => {
        this.#note(touches);
        return new Uint8Array(touches.offsets.length).fill(1);
      },
    });
    for (const { partition, to } of round.ranges) this.#from.set(partition, to);
    if (round.stop.kind === "needs-schema") {
      this.#questions += 1;
      if (this.#questions > questionsMax) throw this.#stuck("the schema of its records does not come to fit");
      const grown = round.stop.sources.reduce((all, source) => evolve(all, source, settings).mapping, mapping);
      this.#grown = { version, mapping: grown };
    } else this.#requireProgress(round);
    this.bytesRead += round.counts.bytesRead;
  }

  #requireProgress({ stop, ranges }: WrittenRound): void {
    if (stop.kind === "failed")
      throw new OperationFailed("records or schemas cannot be read", { happened: "no", cause: stop.cause });
    if (stop.kind === "unreadable" || stop.kind === "bad-record")
      throw this.#stuck(`partition ${stop.partition} cannot be read: ${stop.detail}`);
    if (ranges.length === 0) throw this.#stuck("records could not be read from the log");
  }

  #stuck(reason: string): TableStuck {
    return new TableStuck(this.#deps.settings.topic, reason);
  }
}

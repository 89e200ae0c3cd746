/**
 * The one committer of a table (ARCHITECTURE.md, one table commit, steps 3 to 6): takes a prefix of the pending rounds, brings their dead
 * letters into their topic and into one table, then their rows into the other (both at once where the catalog can), then says so in
 * the metadata log. A crash between any two of these is found out by settling; each step done twice is done once.
 */
import type { Offset, Seq, Uuid } from "../../base/ids.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { MetadataEvent } from "../../metadata/events.ts";
import type { PendingRound, TableInfo } from "../../metadata/image.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import { type CommitMark, offsetsAfter, planCommit } from "../rounds.ts";
import { placeColumns } from "../schema/schema-map.ts";
import type { TableSettings } from "../settings.ts";
import { deadLetterName, tableName, tableStateOf } from "../table-state.ts";
import { letterPlace } from "../translate/dead-letters.ts";
import type { Delivery } from "./letter-topic.ts";
import { ancestryOf, type Ledger } from "./settle.ts";
import type { AppendOutcome, AppendRequest, TableAppender } from "./table-appender.ts";
import { deadLetterCreation } from "./table-creation.ts";

export interface CommitterOptions {
  readonly metadata: MetadataClient;
  readonly appender: TableAppender;
  readonly table: Uuid;
  readonly settings: TableSettings;
  /** Translates a pending round's ranges again; the reason when it cannot be done. */
  readonly retranslate: (round: PendingRound) => Promise<Retranslated>;
  /**
   * What the log is told so that a pending round brings nothing, after a person has said so: its files are lost, and its records
   * cannot become rows again. The reason when that cannot be said.
   */
  readonly giveUp: (round: PendingRound) => Promise<readonly MetadataEvent[] | string>;
  /** Brings the rounds' dead letters into their topic, each once; absent: there is no such topic. */
  readonly deliver?: (rounds: readonly PendingRound[]) => Promise<Delivery>;
  readonly limits: {
    /** Rounds of one snapshot at most. */
    readonly commitRoundsMax: number;
  };
}

export type Retranslated =
  | { readonly kind: "translated"; readonly round: Omit<PendingRound, "seq" | "nodeEpoch" | "lane"> }
  /** Its records cannot become rows of this table any more. */
  | { readonly kind: "impossible"; readonly reason: string }
  /** Not now. */
  | { readonly kind: "unavailable"; readonly cause: unknown };

export type CommitReport =
  | {
      readonly kind: "committed";
      readonly snapshotId: bigint | null;
      readonly committedTo: ReadonlyMap<number, Offset>;
      /** The table after the commit, with what others have done to it. */
      readonly metadata: TableMetadata;
    }
  | { readonly kind: "idle" }
  | { readonly kind: "paused" | "diverged"; readonly reason: string }
  /** A round had lost its files and was translated again; now the commit can go on. */
  | { readonly kind: "replaced"; readonly seq: Seq; readonly reason: string }
  /** Another committer took the table after us; this one is done. */
  | { readonly kind: "superseded" }
  | { readonly kind: "unavailable"; readonly cause: unknown };

export class TableCommitter {
  readonly #options: CommitterOptions;
  /** Rounds that were translated again: one that is damaged even then is for a person. */
  readonly #replaced = new Set<Seq>();
  /** The seq at which we took the table. */
  #epoch: Seq | undefined;
  #isSuperseded = false;
  /** A person has said that what is lost for good may be missing. */
  #givesUp = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** Commits what is pending, at most commitRoundsMax rounds of it. */
  async commit(signal: AbortSignal): Promise<CommitReport> {
    const rounds = planCommit(this.#table().pending, 0 as Seq, { roundsMax: this.#options.limits.commitRoundsMax });
    const upTo = rounds.at(-1)?.seq;
    if (upTo === undefined) return { kind: "idle" };
    const epoch = await this.#claim();
    if (epoch === undefined) return { kind: "superseded" };
    const rows = this.#rows(epoch, rounds);
    const main = rounds.some((round) => round.deadLetters !== null)
      ? await this.#withDeadLetters(epoch, rounds, rows, signal)
      : await this.#append(rows, signal);
    if (main.kind !== "appended") return await this.#stop(main);
    return await this.#record(main, upTo);
  }

  /** Into their topic first, while nothing else names the letters' files. */
  async #withDeadLetters(
    epoch: Seq,
    rounds: readonly PendingRound[],
    rows: AppendRequest,
    signal: AbortSignal,
  ): Promise<AppendOutcome> {
    const delivered = (await this.#options.deliver?.(rounds)) ?? { kind: "delivered" };
    if (delivered.kind !== "delivered") return delivered;
    return await this.#options.appender.appendTogether(this.#deadLetters(epoch, rounds), rows, signal);
  }

  /** A person's word after a divergence: the table is right as it is, and what is pending goes on after it. */
  async accept(signal: AbortSignal): Promise<CommitReport> {
    this.#isSuperseded = false;
    this.#epoch = undefined;
    const epoch = await this.#claim();
    if (epoch === undefined) return { kind: "superseded" };
    const outcome = await this.#append({ ...this.#rows(epoch, []), accept: true }, signal);
    if (outcome.kind !== "appended") return await this.#stop(outcome);
    return await this.#record(outcome, outcome.seq);
  }

  /**
   * A person's word after a pause: commits what is pending, without the rounds whose files are lost and whose records cannot
   * become rows again. Their seqs; or what still stands in the way.
   */
  async commitWithoutLost(
    signal: AbortSignal,
  ): Promise<{ readonly lost: readonly Seq[]; readonly report: CommitReport }> {
    const lost: Seq[] = [];
    this.#givesUp = true;
    try {
      for (;;) {
        const report = await this.commit(signal);
        if (report.kind === "replaced") lost.push(report.seq);
        else if (report.kind !== "committed") return { lost, report };
      }
    } finally {
      this.#givesUp = false;
    }
  }

  /** For who else changes the table in our name; undefined when another committer has taken it. Never beside a commit. */
  async ledger(): Promise<Ledger | undefined> {
    const epoch = await this.#claim();
    if (epoch === undefined) return undefined;
    const table = this.#table();
    return this.#ledger(epoch, table.committedSeq, tableStateOf(table)?.tableUuid ?? null);
  }

  #append(request: AppendRequest, signal: AbortSignal): Promise<AppendOutcome> {
    return this.#options.appender.append(request, signal);
  }

  #rows(epoch: Seq, rounds: readonly PendingRound[]): AppendRequest {
    const { settings } = this.#options;
    const table = this.#table();
    const state = tableStateOf(table);
    return {
      table: tableName(settings, table.generation),
      ledger: () => this.#ledger(epoch, this.#table().committedSeq, state?.tableUuid ?? null),
      rounds: (since) => rounds.filter((round) => round.seq > since),
      manifestsOf: (round) => [round.main, round.deletes].filter((manifest) => manifest !== null),
      waiting: () => {
        const { pending } = this.#table();
        return new Set(
          pending.flatMap(({ main, deadLetters, deletes }) =>
            [main, deadLetters, deletes].map((each) => each?.location ?? ""),
          ),
        );
      },
      markFor: (upTo) => this.#mark(epoch, upTo),
      accept: false,
      columns: state === undefined ? { offset: -1, partition: -1 } : placeColumns(state.mapping),
      creation: null, // It was created before the first round was translated.
      expire: settings.expire,
      proof: { table: table.id, of: "rows" },
    };
  }

  /**
   * The dead-letter table gets a commit only when there are dead letters, so its mark may be older than our log: it is
   * compared with itself (C = P) and only rounds after it are appended.
   */
  #deadLetters(epoch: Seq, rounds: readonly PendingRound[]): AppendRequest {
    const { settings } = this.#options;
    return {
      ...this.#rows(epoch, rounds),
      table: deadLetterName(settings, this.#table().generation),
      ledger: () => this.#ledger(epoch, 0 as Seq, null),
      rounds: (since) => rounds.filter((round) => round.seq > since && round.deadLetters !== null),
      manifestsOf: (round) => (round.deadLetters === null ? [] : [round.deadLetters]),
      columns: letterPlace,
      proof: { table: this.#table().id, of: "dead-letters" },
      creation: deadLetterCreation(),
    };
  }

  #ledger(epoch: Seq, committedSeq: Seq, tableUuid: string | null): Ledger {
    const { id: table, generation } = this.#table();
    return { cluster: this.#options.metadata.image.clusterId, table, generation, committedSeq, epoch, tableUuid };
  }

  #mark(epoch: Seq, seq: Seq): Omit<CommitMark, "wrote"> {
    const { id: table, generation, committedTo, pending } = this.#table();
    const included = pending.filter((round) => round.seq <= seq);
    const { clusterId: cluster } = this.#options.metadata.image;
    return { cluster, table, generation, epoch, seq, offsets: offsetsAfter(committedTo, included) };
  }

  /** Step 6: pending rounds are forgotten, retention and cleaning may pass. */
  async #record(main: Extract<AppendOutcome, { readonly kind: "appended" }>, upTo: Seq): Promise<CommitReport> {
    const { metadata, table } = this.#options;
    const ancestry = ancestryOf(main.table.metadata);
    const snapshotId = ancestry.kind === "mark" ? ancestry.snapshotId : main.snapshotId;
    if (main.seq > this.#table().committedSeq) {
      const answer = await metadata.propose([{ kind: "table-rounds-committed", table, upTo: main.seq, snapshotId }]);
      // Our image lags behind the committer that settled these rounds: it will see them, and then say so again.
      if (answer.kind === "refused") return { kind: "unavailable", cause: answer.refusal };
    }
    if (main.seq < upTo) return { kind: "unavailable", cause: `only rounds up to ${main.seq} are in the table` };
    return { kind: "committed", snapshotId, committedTo: this.#table().committedTo, metadata: main.table.metadata };
  }

  /** A table that a person must look at stops; one that cannot be reached is tried again later. */
  async #stop(outcome: Exclude<AppendOutcome, { readonly kind: "appended" }>): Promise<CommitReport> {
    switch (outcome.kind) {
      case "damaged":
        return await this.#replace(outcome.seq, outcome.reason);
      case "unavailable":
        return outcome;
      case "superseded":
        this.#isSuperseded = true;
        return { kind: "superseded" };
      case "paused":
      case "diverged": {
        const { metadata, table } = this.#options;
        const { kind: state, reason } = outcome;
        await metadata.propose([{ kind: "table-state", table, state, reason }]);
        return outcome;
      }
    }
  }

  /**
   * A round whose files are lost is translated again and takes its own place, before later ones pass. Should the commit of
   * another committer still bring in the first translation, ours loses the race for the parent, and settling finds it in.
   */
  async #replace(seq: Seq, reason: string): Promise<CommitReport> {
    const { metadata, table } = this.#options;
    const round = this.#table().pending.find((each) => each.seq === seq);
    if (round === undefined) return { kind: "unavailable", cause: `round ${seq} is pending no more` };
    if (this.#replaced.has(seq)) return await this.#pauseAt(round, reason);
    const again = await this.#options.retranslate(round);
    if (again.kind === "unavailable") return again;
    if (again.kind === "impossible") return await this.#pauseAt(round, `${reason}; ${again.reason}`);
    const answer = await metadata.propose([{ kind: "replace-table-round", table, seq, ...again.round }]);
    if (answer.kind === "refused") return { kind: "unavailable", cause: answer.refusal };
    this.#replaced.add(seq);
    return { kind: "replaced", seq, reason };
  }

  /** Of a round that cannot be brought back. */
  async #pauseAt(round: PendingRound, reason: string): Promise<CommitReport> {
    const events = this.#givesUp ? await this.#options.giveUp(round) : reason;
    if (typeof events === "string") return await this.#stop({ kind: "paused", reason: events });
    const answer = await this.#options.metadata.propose(events);
    if (answer.kind === "refused") return { kind: "unavailable", cause: answer.refusal };
    return { kind: "replaced", seq: round.seq, reason };
  }

  /** Says again what the log already says of the table: the seq of that is our epoch, greater than every earlier one's. */
  async #claim(): Promise<Seq | undefined> {
    if (this.#isSuperseded) return undefined;
    if (this.#epoch !== undefined) return this.#epoch;
    const { id: table, state, reason } = this.#table();
    const answer = await this.#options.metadata.propose([{ kind: "table-state", table, state, reason }]);
    if (answer.kind === "accepted") this.#epoch = answer.seq;
    return this.#epoch;
  }

  #table(): TableInfo {
    const table = this.#options.metadata.image.table(this.#options.table);
    if (table === undefined) throw new TypeError(`table ${this.#options.table} is not in the image`);
    return table;
  }
}

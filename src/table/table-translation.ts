/** What is stable of a topic becomes rounds of its table: translated, uploaded and written down, for the committer to take. */
import { OperationFailed } from "../base/errors.ts";
import type { Uuid } from "../base/ids.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { TableInfo, Topic } from "../metadata/image.ts";
import { type Advance, done, forPerson, type Stuck, stuck, TableStuck, unreachable, unready } from "./advance.ts";
import { SchemaCommitter, type SchemaCommitterOptions, type SchemaOutcome } from "./commit/schema-committer.ts";
import type { RoundWriter, WrittenRound } from "./round-writer.ts";
import { liveLane, nextRanges, type PartitionView } from "./rounds.ts";
import type { TableSettings } from "./settings.ts";
import type { TableMeter } from "./table-meter.ts";
import { deadLetterName, type TableState, tableName } from "./table-state.ts";

export interface TableTranslationOptions extends Omit<SchemaCommitterOptions, "table" | "limits"> {
  readonly metadata: MetadataClient;
  readonly writer: RoundWriter;
  readonly settings: TableSettings;
  readonly meter: TableMeter;
  readonly signal: AbortSignal;
  readonly limits: TableTranslationLimits;
}

export type TableTranslationLimits = SchemaCommitterOptions["limits"] & {
  /** Rounds that may wait for a catalog that is away; then translation waits too. */
  readonly pendingRoundsMax: number;
};

export class TableTranslation {
  readonly #options: TableTranslationOptions;
  /** Others have changed the table's columns, layout or location. */
  #mustFollow = false;

  constructor(options: TableTranslationOptions) {
    this.#options = options;
  }

  schemas(table: Uuid): SchemaCommitter {
    return new SchemaCommitter({ ...this.#options, table });
  }

  /** The next run begins with the table as others have left it. */
  follow(): void {
    this.#mustFollow = true;
  }

  /** Round after round, until nothing stable is left or something stops it. `views` is asked again for each. */
  async run(topic: Topic, id: Uuid, views: () => readonly PartitionView[]): Promise<Advance> {
    const { metadata, limits } = this.#options;
    let outcome = await this.#ready(id);
    let asked = "";
    for (;;) {
      if (outcome.kind !== "ready") return unready(outcome);
      const table = metadata.image.table(id) as TableInfo;
      if (table.pending.length >= limits.pendingRoundsMax) return done; // The catalog is away: enough waits for it.
      const ranges = nextRanges(table.translatedTo, views());
      if (ranges.length === 0) return done;
      const unreached = await this.#reach(table, outcome.state);
      if (unreached !== undefined) return unreached;
      const round = await this.#round(topic, table, outcome.state, ranges);
      switch (round.stop.kind) {
        case "done":
          return done;
        case "full":
          asked = "";
          break;
        case "failed":
          return stuck("records or schemas cannot be read", round.stop.cause, true);
        case "unreadable":
          return forPerson(`partition ${round.stop.partition}: ${round.stop.detail}`);
        case "bad-record": {
          const { partition, offset, detail } = round.stop;
          return forPerson(`partition ${partition} offset ${offset}: ${detail}`);
        }
        case "needs-schema": {
          // The same question twice without a step between: asking again would never end.
          const question = JSON.stringify([round.stop.sources, table.schemaVersion]);
          if (question === asked) return forPerson("the schema does not come to fit");
          asked = question;
          outcome = await this.schemas(id).evolve(round.stop.sources, this.#options.signal);
          break;
        }
      }
    }
  }

  /** Nothing of what is written may be in need of keys that the catalog has not lent yet. */
  async #reach({ generation }: TableInfo, state: TableState): Promise<Stuck | undefined> {
    const { catalog, settings } = this.#options;
    try {
      await catalog.reachFiles?.(tableName(settings, generation));
      if (state.deadLetterPlaces !== null) await catalog.reachFiles?.(deadLetterName(settings, generation));
      return undefined;
    } catch (cause) {
      if (!(cause instanceof OperationFailed)) throw cause;
      return stuck(unreachable, cause, true);
    }
  }

  /** After a commit that saw the table changed by others, and after a restart of a table, as they left it. */
  async #ready(id: Uuid): Promise<SchemaOutcome> {
    const schemas = this.schemas(id);
    if (!this.#mustFollow) return await schemas.ensure(this.#options.signal);
    const outcome = await schemas.follow(this.#options.signal);
    if (outcome.kind === "ready") this.#mustFollow = false;
    return outcome;
  }

  async #round(
    topic: Topic,
    table: TableInfo,
    state: TableState,
    ranges: ReturnType<typeof nextRanges>,
  ): Promise<WrittenRound> {
    const { writer, settings, metadata } = this.#options;
    const round = await writer.write({ topicId: topic.id, state, settings, ranges });
    if (round.ranges.length === 0) return round;
    const answer = await metadata.propose([
      {
        kind: "add-table-round",
        table: table.id,
        generation: table.generation,
        lane: liveLane,
        schemaId: state.schemaId,
        specId: state.spec["spec-id"],
        mappingVersion: state.mapping.version,
        ranges: round.ranges,
        main: round.main,
        deadLetters: round.deadLetters,
        deletes: round.deletes,
      },
    ]);
    // Somebody else translated the range meanwhile: the files are orphans, and the next turn starts from what is true.
    if (answer.kind === "refused")
      throw new TableStuck(settings.topic, `a round was refused: ${answer.refusal.reason}`);
    this.#options.meter.counted(round);
    return round;
  }
}

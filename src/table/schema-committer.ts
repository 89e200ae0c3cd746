/**
 * Makes a table and evolves its schema: the only place that does (rule G6). What is wanted goes into the metadata log first,
 * then to the catalog, then into the log as done; a crash in between goes on with the same field ids.
 *
 *   log: next = wanted ──▶ catalog: add-schema, asserting the last field id ──▶ log: mapping = wanted, next = null
 */
import { type BackoffLimits, backoffDelayMs, sleep } from "../base/async.ts";
import { OperationFailed } from "../base/errors.ts";
import type { Uuid } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { TableInfo } from "../metadata/image.ts";
import type { Catalog, LoadedTable } from "./catalog.ts";
import { deadLetterSchema } from "./dead-letters.ts";
import type { TableMetadata } from "./iceberg/metadata.ts";
import type { Requirement, Update } from "./iceberg/updates.ts";
import { evolve, initialMapping, type MappingSource, rebase, type TableMapping } from "./schema-map.ts";
import { rowKeyMismatch } from "./schema-map-keys.ts";
import type { TableSettings } from "./settings.ts";
import {
  creationUpdates,
  currentSchema,
  deadLetterCreation,
  defaultSpec,
  deleteSpecUpdates,
  hasSchema,
  specFor,
  specUpdates,
  unpartitionedSpec,
} from "./table-creation.ts";
import { deadLetterName, encodeTableState, placesOf, type TableState, tableName, tableStateOf } from "./table-state.ts";

export interface SchemaCommitterOptions {
  readonly metadata: MetadataClient;
  readonly catalog: Catalog;
  readonly runtime: Runtime;
  readonly table: Uuid;
  readonly settings: TableSettings;
  readonly limits: { readonly commitRetry: BackoffLimits };
}

export type SchemaOutcome =
  /** Records can be translated under the state. */
  | { readonly kind: "ready"; readonly state: TableState }
  | { readonly kind: "paused"; readonly reason: string }
  | { readonly kind: "unavailable"; readonly cause: unknown };

type Step = SchemaOutcome | { readonly kind: "again"; readonly cause: unknown };

/** The cause of a turn that did its part and leaves the rest to the next one. */
const progress = Symbol("progress");

/** Creating both tables and evolving one takes some five steps; more only when others change the table meanwhile. */
const stepsMax = 50;

export class SchemaCommitter {
  readonly #options: SchemaCommitterOptions;

  constructor(options: SchemaCommitterOptions) {
    this.#options = options;
  }

  /** The state to translate under; finishes what an earlier owner began. Creates the table once its columns are known. */
  ensure(signal: AbortSignal): Promise<SchemaOutcome> {
    return this.#repeat(() => this.#ensure([]), signal);
  }

  /** The state whose mapping knows the sources. A source that cannot be mapped is known as refused. */
  evolve(sources: readonly MappingSource[], signal: AbortSignal): Promise<SchemaOutcome> {
    return this.#repeat(() => this.#ensure(sources), signal);
  }

  async #repeat(turn: () => Promise<Step>, signal: AbortSignal): Promise<SchemaOutcome> {
    const { runtime, limits } = this.#options;
    let cause: unknown;
    let troubles = 0;
    for (let step = 1; step <= stepsMax && troubles < limits.commitRetry.attemptsMax; step += 1) {
      try {
        const answer = await turn();
        if (answer.kind !== "again") return answer;
        if (answer.cause === progress) continue;
        cause = answer.cause;
      } catch (failure) {
        if (!(failure instanceof OperationFailed)) throw failure;
        cause = failure;
      }
      troubles += 1;
      await sleep(runtime.clock, backoffDelayMs(limits.commitRetry, troubles, runtime.random), signal);
    }
    return { kind: "unavailable", cause };
  }

  async #ensure(sources: readonly MappingSource[]): Promise<Step> {
    const state = tableStateOf(this.#table());
    const mismatch = state === undefined ? undefined : rowKeyMismatch(state.mapping, this.#options.settings.mode);
    if (mismatch !== undefined) return { kind: "paused", reason: mismatch };
    if (state?.next) return await this.#finish(state, state.next);
    if (state !== undefined && this.#wantsDeadLetters(state)) return await this.#addDeadLetters(state);
    if (state !== undefined && sources.length === 0) return { kind: "ready", state };
    const base = state === undefined ? undefined : (await this.#load())?.metadata;
    const before = state === undefined ? initialMapping(this.#options.settings) : onBase(state, base);
    const mapping = sources.reduce((grown, source) => evolve(grown, source, this.#options.settings).mapping, before);
    const lost = rowKeyMismatch(mapping, this.#options.settings.mode);
    if (lost !== undefined) return { kind: "paused", reason: lost };
    if (state !== undefined && mapping === state.mapping) return { kind: "ready", state };
    if (state !== undefined && base === undefined) return { kind: "paused", reason: "the table is not in its catalog" };
    return await this.#wish(state, base, mapping);
  }

  async #wish(state: TableState | undefined, base: TableMetadata | undefined, mapping: TableMapping): Promise<Step> {
    const spec = specFor(this.#options.settings, mapping.schema);
    if (spec.kind === "refused") return { kind: "paused", reason: spec.reason };
    const onlySources =
      state !== undefined &&
      base !== undefined &&
      hasSchema(base, mapping.schema) &&
      specUpdates(base, spec.spec).length === 0;
    if (onlySources) return await this.#propose({ ...state, mapping });
    const next = { mapping, after: base?.["last-column-id"] ?? 0 };
    const fresh = { tableUuid: null, mapping, schemaId: -1, spec: spec.spec, places: null, deadLetterPlaces: null };
    const proposed = await this.#propose({ ...(state ?? fresh), next });
    return proposed.kind === "ready" ? await this.#finish(proposed.state, next) : proposed;
  }

  /** Brings the catalog to the wish in the log, or drops a wish that no longer fits it. */
  async #finish(state: TableState, next: NonNullable<TableState["next"]>): Promise<Step> {
    const loaded = await this.#load();
    if (loaded === undefined) return await this.#create(state, next.mapping);
    const { metadata } = loaded;
    const isOurs = state.tableUuid !== null || hasSchema(metadata, next.mapping.schema);
    if (!isOurs) return { kind: "paused", reason: "a table of this name exists, and it is not ours" };
    const spec = specFor(this.#options.settings, next.mapping.schema);
    if (spec.kind === "refused") return { kind: "paused", reason: spec.reason };
    const { rowKey } = next.mapping;
    const deleteSpecs = rowKey === undefined ? [] : deleteSpecUpdates(metadata);
    const specs = deleteSpecs.length > 0 ? deleteSpecs : specUpdates(metadata, spec.spec);
    if (hasSchema(metadata, next.mapping.schema)) {
      if (specs.length === 0) return await this.#done(state, next.mapping, metadata);
      return await this.#change(metadata, specs);
    }
    if (metadata["last-column-id"] !== next.after) {
      // Somebody else added columns meanwhile: these ids may be theirs now. The records will ask again.
      const dropped = await this.#propose({ ...state, next: null });
      return dropped.kind === "ready" ? { kind: "again", cause: "the schema was changed by somebody else" } : dropped;
    }
    const { schema, lastColumnId } = next.mapping;
    return await this.#change(metadata, [
      {
        action: "add-schema",
        schema: { ...schema, "schema-id": schemaIdAfter(metadata) },
        "last-column-id": lastColumnId,
      },
      { action: "set-current-schema", "schema-id": -1 },
      ...specs,
    ]);
  }

  /** The next turn sees in the table what came of it, whatever the answer was. */
  async #change(base: TableMetadata, updates: readonly Update[]): Promise<Step> {
    const requirements: readonly Requirement[] = [
      { type: "assert-table-uuid", uuid: base["table-uuid"] },
      { type: "assert-current-schema-id", "current-schema-id": base["current-schema-id"] },
      { type: "assert-last-assigned-field-id", "last-assigned-field-id": base["last-column-id"] },
      { type: "assert-default-spec-id", "default-spec-id": base["default-spec-id"] },
    ];
    const outcome = await this.#options.catalog.commit(this.#name(), requirements, updates);
    if (outcome.kind !== "committed") {
      return { kind: "again", cause: outcome.kind === "conflict" ? outcome.detail : outcome.cause };
    }
    return { kind: "again", cause: progress };
  }

  async #create(state: TableState, mapping: TableMapping): Promise<Step> {
    const { settings, catalog } = this.#options;
    if (state.tableUuid !== null) return { kind: "paused", reason: "the table is not in its catalog any more" };
    if (!settings.create) return { kind: "paused", reason: "there is no such table, and it is not to be created" };
    const { schema, lastColumnId } = mapping;
    const hasKey = mapping.rowKey !== undefined;
    const spec = hasKey ? { "spec-id": 0, fields: [] } : state.spec;
    const updates = creationUpdates({ schema, lastColumnId, spec, location: settings.location, hasKey });
    const outcome = await catalog.create(this.#name(), updates);
    if (outcome.kind === "created" && hasKey) return { kind: "again", cause: progress }; // Its own spec comes next.
    if (outcome.kind === "created") return await this.#done(state, mapping, outcome.table.metadata);
    return { kind: "again", cause: outcome.kind === "unknown" ? outcome.cause : "somebody else created the table" };
  }

  async #done(state: TableState, mapping: TableMapping, metadata: TableMetadata): Promise<Step> {
    const schema = currentSchema(metadata);
    if (!hasSchema(metadata, mapping.schema)) {
      return { kind: "paused", reason: "the catalog gave the columns other ids than it was asked for" };
    }
    const proposed = await this.#propose({
      ...state,
      tableUuid: metadata["table-uuid"],
      mapping: { ...mapping, schema },
      schemaId: schema["schema-id"],
      spec: defaultSpec(metadata),
      ...(mapping.rowKey === undefined ? {} : { deleteSpec: unpartitionedSpec(metadata) ?? null }),
      places: placesOf(metadata),
      next: null,
    });
    return proposed.kind === "ready" ? { kind: "again", cause: progress } : proposed;
  }

  #wantsDeadLetters(state: TableState): boolean {
    return this.#options.settings.errors.policy === "dlq" && state.deadLetterPlaces === null;
  }

  /** Made before the first dead letter, which then has a place even while the catalog is away. */
  async #addDeadLetters(state: TableState): Promise<Step> {
    const { catalog, settings } = this.#options;
    const name = deadLetterName(settings, this.#table().generation);
    const loaded = await catalog.load(name);
    if (loaded === undefined) {
      const outcome = await catalog.create(name, deadLetterCreation());
      return { kind: "again", cause: outcome.kind === "unknown" ? outcome.cause : progress };
    }
    if (!hasSchema(loaded.metadata, deadLetterSchema)) {
      return { kind: "paused", reason: `${name.name} exists, and is no dead-letter table` };
    }
    const proposed = await this.#propose({ ...state, deadLetterPlaces: placesOf(loaded.metadata) });
    return proposed.kind === "ready" ? { kind: "again", cause: progress } : proposed;
  }

  async #propose(state: Omit<TableState, "next"> & { readonly next?: TableState["next"] }): Promise<Step & object> {
    const { metadata, table } = this.#options;
    const full: TableState = { ...state, next: state.next ?? null };
    const expectedVersion = this.#table().schemaVersion;
    const schema = encodeTableState(full);
    const answer = await metadata.propose([{ kind: "table-schema", table, expectedVersion, schema }]);
    // Another owner was faster: what it wrote is what counts.
    return answer.kind === "accepted" ? { kind: "ready", state: full } : { kind: "again", cause: answer.refusal };
  }

  #load(): Promise<LoadedTable | undefined> {
    return this.#options.catalog.load(this.#name());
  }

  #name() {
    return tableName(this.#options.settings, this.#table().generation);
  }

  #table(): TableInfo {
    const table = this.#options.metadata.image.table(this.#options.table);
    if (table === undefined) throw new TypeError(`table ${this.#options.table} is not in the image`);
    return table;
  }
}

/** The mapping over the table as it is now: columns that people added, renamed or dropped are theirs to decide. */
function onBase(state: TableState, base: TableMetadata | undefined): TableMapping {
  if (base === undefined || hasSchema(base, state.mapping.schema)) return state.mapping;
  return rebase(state.mapping, currentSchema(base), base["last-column-id"]);
}

function schemaIdAfter(metadata: TableMetadata): number {
  return metadata.schemas.reduce((next, schema) => Math.max(next, schema["schema-id"] + 1), 0);
}

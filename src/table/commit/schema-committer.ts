/**
 * Makes a table and evolves its schema: the only place that does (rule G6). What is wanted goes into the metadata log first,
 * then to the catalog, then into the log as done; a crash in between goes on with the same field ids.
 *
 *   log: next = wanted ──▶ catalog: add-schema, asserting the last field id ──▶ log: mapping = wanted, next = null
 */
import { type BackoffLimits, backoffDelayMs, sleep } from "../../base/async.ts";
import { CorruptData, OperationFailed } from "../../base/errors.ts";
import type { Uuid } from "../../base/ids.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { TableInfo } from "../../metadata/image.ts";
import type { Catalog, LoadedTable } from "../catalog.ts";
import { manifestVersion, type TableMetadata } from "../iceberg/metadata.ts";
import type { PartitionSpec } from "../iceberg/types.ts";
import type { Requirement, Update } from "../iceberg/updates.ts";
import {
  followedOrder,
  isLayoutTheirs,
  isSameOrder,
  layoutKey,
  layoutUpdates,
  presentLayout,
  unsorted,
  wantedLayout,
} from "../layout.ts";
import { overridesMismatch, withOverrides } from "../schema/column-overrides.ts";
import { mappingRules } from "../schema/mapping-rules.ts";
import { ownColumnsMisfit, schemaMisfit } from "../schema/schema-fit.ts";
import {
  evolve,
  initialMapping,
  type MappingSource,
  rebase,
  type TableMapping,
  withoutRefusals,
} from "../schema/schema-map.ts";
import { rowKeyMismatch } from "../schema/schema-map-keys.ts";
import { shapeMismatch } from "../schema/schema-map-shape.ts";
import type { TableSettings } from "../settings.ts";
import {
  deadLetterName,
  encodeTableState,
  placesOf,
  type TableState,
  tableName,
  tableStateOf,
  type Wish,
} from "../table-state.ts";
import { deadLetterSchema } from "../translate/dead-letters.ts";
import type { Warehouse } from "../warehouse.ts";
import {
  creationUpdates,
  currentSchema,
  deadLetterCreation,
  deleteSpecUpdates,
  hasSchema,
  unpartitionedSpec,
  versionUpdates,
} from "./table-creation.ts";

export interface SchemaCommitterOptions {
  readonly metadata: MetadataClient;
  readonly catalog: Catalog;
  readonly warehouse: Pick<Warehouse, "reaches">;
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

  /** The state over the table as others have left it: its columns, where its files go, its spec and order. */
  follow(signal: AbortSignal): Promise<SchemaOutcome> {
    return this.#lookOnce((state) => state, signal);
  }

  /** The same after a person's word: what was refused is asked about again. */
  accept(signal: AbortSignal): Promise<SchemaOutcome> {
    return this.#lookOnce(withoutRefusals, signal);
  }

  #lookOnce(change: (mapping: TableMapping) => TableMapping, signal: AbortSignal): Promise<SchemaOutcome> {
    let look: typeof change | undefined = change;
    return this.#repeat(async () => {
      const step = await this.#ensure([], look);
      if (step.kind !== "again" || step.cause === progress) look = undefined;
      return step;
    }, signal);
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
        if (!(failure instanceof OperationFailed) && !(failure instanceof CorruptData)) throw failure;
        cause = failure;
      }
      troubles += 1;
      await sleep(runtime.clock, backoffDelayMs(limits.commitRetry, troubles, runtime.random), signal);
    }
    return { kind: "unavailable", cause };
  }

  async #ensure(sources: readonly MappingSource[], look?: (mapping: TableMapping) => TableMapping): Promise<Step> {
    const { settings } = this.#options;
    const state = tableStateOf(this.#table());
    if ((state?.mapping.rules ?? 1) > mappingRules) {
      return {
        kind: "paused",
        reason: `a later version of Inlet made the table, under mapping rules ${state?.mapping.rules}`,
      };
    }
    const mismatch = state === undefined ? undefined : settingsMismatch(state.mapping, settings);
    if (mismatch !== undefined) return { kind: "paused", reason: mismatch };
    if (state?.next) return await this.#finish(state, state.next);
    if (state !== undefined && this.#wantsDeadLetters(state)) return await this.#addDeadLetters(state);
    const isVersion = (state?.formatVersion ?? 2) >= settings.formatVersion;
    const isOverridden = state !== undefined && withOverrides(state.mapping, settings) === state.mapping;
    const isApplied = isVersion && isOverridden && state.layout?.key === layoutKey(settings);
    if (state !== undefined && isApplied && look === undefined && sources.length === 0) return { kind: "ready", state };
    const base = state === undefined ? undefined : (await this.#load())?.metadata;
    if (state !== undefined && base === undefined) return { kind: "paused", reason: notInCatalog };
    const misfit = state === undefined || base === undefined ? undefined : misfitOf(state, base);
    if (misfit !== undefined) return { kind: "paused", reason: misfit };
    const known = state === undefined ? initialMapping(settings) : withOverrides(onBase(state, base), settings);
    const before = look === undefined ? known : look(known);
    const names = base?.["partition-specs"].flatMap((spec) => spec.fields.map((field) => field.name));
    const mapping = sources.reduce((grown, source) => evolve(grown, source, settings, names).mapping, before);
    const lost = rowKeyMismatch(mapping, settings.mode);
    if (lost !== undefined) return { kind: "paused", reason: lost };
    const isSame = isApplied && !(base !== undefined && hasDrifted(state, base));
    if (state !== undefined && mapping === state.mapping && isSame) return { kind: "ready", state };
    return await this.#wish(state, base, mapping);
  }

  async #wish(state: TableState | undefined, base: TableMetadata | undefined, mapping: TableMapping): Promise<Step> {
    const isTheirs = isLayoutTheirs(state, base, this.#options.settings);
    const wanted = this.#layout(mapping, base, isTheirs);
    if (wanted.kind === "refused") return { kind: "paused", reason: wanted.reason };
    const { layout } = wanted;
    if (state !== undefined && base !== undefined && hasSchema(base, mapping.schema)) {
      const updates = [
        ...versionUpdates(base, this.#options.settings.formatVersion),
        ...layoutUpdates(base, layout),
        ...deleteSpecUpdates(base, mapping),
      ];
      if (updates.length === 0) return await this.#done(state, mapping, base, isTheirs);
    }
    const onto = base === undefined ? {} : { onto: base["current-schema-id"] };
    const next: Wish = { mapping, after: base?.["last-column-id"] ?? 0, isLayoutTheirs: isTheirs, ...onto };
    const { spec, order: sortOrder } = layout;
    const fresh = { tableUuid: null, mapping, schemaId: -1, spec, sortOrder, places: null, deadLetterPlaces: null };
    const proposed = await this.#propose({ ...(state ?? fresh), next });
    return proposed.kind === "ready" ? await this.#finish(proposed.state, next) : proposed;
  }

  #layout(mapping: TableMapping, base: TableMetadata | undefined, isTheirs: boolean) {
    return isTheirs && base !== undefined ? presentLayout(base) : wantedLayout(this.#options.settings, mapping);
  }

  /** Brings the catalog to the wish in the log, or drops a wish that no longer fits it. */
  async #finish(state: TableState, next: Wish): Promise<Step> {
    const loaded = await this.#load();
    if (loaded === undefined) return await this.#create(state, next.mapping);
    const { metadata } = loaded;
    const isOurs = state.tableUuid !== null || hasSchema(metadata, next.mapping.schema);
    if (!isOurs) return { kind: "paused", reason: notOurs };
    const isTheirs = next.isLayoutTheirs === true;
    const wanted = this.#layout(next.mapping, metadata, isTheirs);
    if (wanted.kind === "refused") return { kind: "paused", reason: wanted.reason };
    const deleteSpecs = deleteSpecUpdates(metadata, next.mapping);
    const ours = isTheirs ? [] : layoutUpdates(metadata, wanted.layout);
    const version = versionUpdates(metadata, this.#options.settings.formatVersion);
    const layout = [...version, ...(deleteSpecs.length > 0 ? deleteSpecs : ours)];
    if (hasSchema(metadata, next.mapping.schema)) {
      if (layout.length === 0) return await this.#done(state, next.mapping, metadata, isTheirs);
      return await this.#change(metadata, layout);
    }
    const isChanged = next.onto !== undefined && next.onto !== metadata["current-schema-id"];
    if (isChanged || metadata["last-column-id"] !== next.after) {
      // Somebody else changed the columns meanwhile: these ids may be theirs now. The records will ask again.
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
      ...layout,
    ]);
  }

  /** The next turn sees in the table what came of it, whatever the answer was. */
  async #change(base: TableMetadata, updates: readonly Update[]): Promise<Step> {
    const requirements: readonly Requirement[] = [
      { type: "assert-table-uuid", uuid: base["table-uuid"] },
      { type: "assert-current-schema-id", "current-schema-id": base["current-schema-id"] },
      { type: "assert-last-assigned-field-id", "last-assigned-field-id": base["last-column-id"] },
      { type: "assert-default-spec-id", "default-spec-id": base["default-spec-id"] },
      { type: "assert-default-sort-order-id", "default-sort-order-id": base["default-sort-order-id"] },
    ];
    const outcome = await this.#options.catalog.commit(this.#name(), requirements, updates);
    if (outcome.kind !== "committed") {
      return { kind: "again", cause: outcome.kind === "conflict" ? outcome.detail : outcome.cause };
    }
    return { kind: "again", cause: progress };
  }

  async #create(state: TableState, mapping: TableMapping): Promise<Step> {
    const { settings, catalog } = this.#options;
    if (state.tableUuid !== null) return { kind: "paused", reason: notInCatalog };
    if (!settings.create) return { kind: "paused", reason: "there is no such table, and it is not to be created" };
    const { schema, lastColumnId } = mapping;
    const wanted = wantedLayout(settings, mapping);
    if (wanted.kind === "refused") return { kind: "paused", reason: wanted.reason };
    const hasKey = mapping.rowKey !== undefined;
    const { spec, order } = hasKey ? { ...wanted.layout, spec: { "spec-id": 0, fields: [] } } : wanted.layout;
    const { location, formatVersion } = settings;
    const updates = creationUpdates({ schema, lastColumnId, spec, order, location, formatVersion, hasKey });
    const outcome = await catalog.create(this.#name(), updates);
    if (outcome.kind === "created" && hasKey) return { kind: "again", cause: progress }; // Its own spec comes next.
    if (outcome.kind === "created") return await this.#done(state, mapping, outcome.table.metadata, false);
    return { kind: "again", cause: outcome.kind === "unknown" ? outcome.cause : "somebody else created the table" };
  }

  async #done(
    state: TableState,
    mapping: TableMapping,
    metadata: TableMetadata,
    isLayoutTheirs: boolean,
  ): Promise<Step> {
    const schema = currentSchema(metadata);
    if (!hasSchema(metadata, mapping.schema)) {
      return { kind: "paused", reason: "the catalog gave the columns other ids than it was asked for" };
    }
    const present = presentLayout(metadata);
    if (present.kind === "refused") return { kind: "paused", reason: present.reason };
    const places = placesOf(metadata);
    const lost = [places.data, places.metadata].find((place) => !this.#options.warehouse.reaches(`${place}/`));
    if (lost !== undefined)
      return { kind: "paused", reason: `the table's files are to go to ${lost}, which has no store` };
    const proposed = await this.#propose({
      ...state,
      tableUuid: metadata["table-uuid"],
      mapping: { ...mapping, schema },
      schemaId: schema["schema-id"],
      spec: present.layout.spec,
      ...(mapping.rowKey === undefined ? {} : { deleteSpec: unpartitionedSpec(metadata) ?? null }),
      sortOrder: present.layout.order,
      layout: { key: layoutKey(this.#options.settings), isTheirs: isLayoutTheirs },
      places,
      formatVersion: manifestVersion(metadata),
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

const notInCatalog =
  "the table is not in its catalog any more: put it back, or write a new one with inlet table resume --retranslate";

/** What the settings say of is fixed with the table. */
function settingsMismatch(mapping: TableMapping, settings: TableSettings): string | undefined {
  return (
    rowKeyMismatch(mapping, settings.mode) ?? shapeMismatch(mapping, settings) ?? overridesMismatch(mapping, settings)
  );
}

/** Why rows of ours must not go into the table as others have left it. */
function misfitOf(state: TableState, base: TableMetadata): string | undefined {
  if (state.tableUuid !== null && base["table-uuid"] !== state.tableUuid) {
    return `the table was replaced: its uuid is ${base["table-uuid"]}, ours was ${state.tableUuid}`;
  }
  const now = currentSchema(base);
  return ownColumnsMisfit(state.mapping, now) ?? schemaMisfit(state.mapping.schema, now);
}

/** Whether others changed what rounds are written by. */
export function hasDrifted(state: TableState | undefined, base: TableMetadata): boolean {
  if (state === undefined) return false;
  const places = placesOf(base);
  return (
    base["table-uuid"] !== state.tableUuid ||
    !hasSchema(base, state.mapping.schema) ||
    base["default-spec-id"] !== state.spec["spec-id"] ||
    manifestVersion(base) !== (state.formatVersion ?? 2) ||
    (state.mapping.rowKey !== undefined && !hasSpec(base, state.deleteSpec)) ||
    !isSameOrder(followedOrder(base), state.sortOrder ?? unsorted) ||
    places.data !== state.places?.data ||
    places.metadata !== state.places.metadata
  );
}

/** Whoever cleans the table's metadata takes specs away that no file has. */
function hasSpec(base: TableMetadata, spec: PartitionSpec | null | undefined): boolean {
  return base["partition-specs"].some((each) => each["spec-id"] === spec?.["spec-id"]);
}

/** The mapping over the table as it is now: columns that people added, renamed or dropped are theirs to decide. */
export function onBase(state: TableState, base: TableMetadata | undefined): TableMapping {
  if (base === undefined || hasSchema(base, state.mapping.schema)) return state.mapping;
  return rebase(state.mapping, currentSchema(base), base["last-column-id"]);
}

function schemaIdAfter(metadata: TableMetadata): number {
  return metadata.schemas.reduce((next, schema) => Math.max(next, schema["schema-id"] + 1), 0);
}

const notOurs =
  "a table of this name exists, and it is not ours: give the topic's table another name, or move that one away; then resume --accept";

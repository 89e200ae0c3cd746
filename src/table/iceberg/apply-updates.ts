/**
 * A commit, as a function: table metadata, requirements and updates in, new table metadata or the reason why not out.
 * Behaves as the reference builder does where the specification leaves it open: equal schemas, specs and orders are
 * reused, an id of -1 means the one added last, snapshots that vanish take their refs and statistics with them.
 */
import type { Snapshot, SnapshotRef, SortOrder, TableMetadata } from "./metadata.ts";
import { ofVersion } from "./metadata-json.ts";
import {
  addEncryptionKey,
  type MetadataDraft,
  removeEncryptionKey,
  removeStatistics,
  setStatistics,
} from "./metadata-lists.ts";
import { unmetRequirement } from "./requirements.ts";
import { highestFieldId, isSameSchema } from "./schema-ids.ts";
import { unfitTable } from "./table-checks.ts";
import type { PartitionField, PartitionSpec, Schema } from "./types.ts";
import { idTwice, isPartitionField, isSortField, skewMsMax, unfitRef } from "./update-checks.ts";
import type { Requirement, Update } from "./updates.ts";

export interface CommitContext {
  readonly nowMs: number;
  /** Where the base was read from: goes into the metadata log. null for a table that does not exist yet. */
  readonly baseLocation: string | null;
}

export type Applied =
  | { readonly kind: "applied"; readonly metadata: TableMetadata }
  /** A requirement did not hold: nothing happened, and the same updates may fit another base. */
  | { readonly kind: "failed-requirement"; readonly detail: string }
  /** The updates fit no base. */
  | { readonly kind: "invalid"; readonly detail: string };

export function applyCommit(
  base: TableMetadata | undefined,
  requirements: readonly Requirement[],
  updates: readonly Update[],
  context: CommitContext,
): Applied {
  const unmet = unmetRequirement(base, requirements);
  if (unmet !== undefined) return { kind: "failed-requirement", detail: unmet };
  if (base !== undefined && updates.length === 0) return { kind: "applied", metadata: base };
  const orphaned = base === undefined ? undefined : orphanedRef(base, updates);
  if (orphaned !== undefined) {
    const detail = `Cannot remove snapshots: ${orphaned} was set to one of them concurrently`;
    return { kind: "failed-requirement", detail };
  }
  const draft = new Draft(base, context.nowMs);
  for (const update of updates) {
    const refusal = applyUpdate(draft, update);
    if (refusal !== undefined) return refusal;
  }
  return draft.finish(base, context);
}

/**
 * Who knows of a ref says what becomes of it when its snapshot goes, as the reference does. Who says nothing did not know: the ref was
 * set since, and no requirement could have told.
 */
function orphanedRef({ refs }: TableMetadata, updates: readonly Update[]): string | undefined {
  const removed = new Set(
    updates.flatMap((update) => (update.action === "remove-snapshots" ? update["snapshot-ids"] : [])),
  );
  const known = new Set(updates.flatMap((update) => ("ref-name" in update ? [update["ref-name"]] : [])));
  return Object.keys(refs).find((name) => removed.has(refs[name]?.["snapshot-id"] ?? -1n) && !known.has(name));
}

type Refusal = Exclude<Applied, { readonly kind: "applied" }> | undefined;

/** Table metadata while a commit is applied to it. The arrays are this commit's own copies. */
class Draft {
  metadata: MetadataDraft;
  readonly nowMs: number;
  readonly addedSnapshots = new Set<bigint>();
  /** What main pointed at in the middle of this commit; only the last stays in the snapshot log. */
  readonly mains: bigint[] = [];
  lastSchemaId: number | undefined;
  lastSpecId: number | undefined;
  lastOrderId: number | undefined;

  constructor(base: TableMetadata | undefined, nowMs: number) {
    this.metadata = { ...(base ?? empty) };
    this.nowMs = nowMs;
  }

  finish(base: TableMetadata | undefined, context: CommitContext): Applied {
    const { metadata } = this;
    if (base === undefined) addDefaults(this);
    const missing = missingParts(metadata);
    const unfit = missing ?? unfitTable(base, metadata);
    if (unfit !== undefined) return invalid(unfit);
    const newest = this.addedSnapshots.size === 0 ? context.nowMs : metadata["last-updated-ms"];
    metadata["last-updated-ms"] = Math.max(newest, base?.["last-updated-ms"] ?? 0);
    metadata["snapshot-log"] = this.#snapshotLog();
    if (base !== undefined && context.baseLocation !== null) {
      const entry = { "timestamp-ms": base["last-updated-ms"], "metadata-file": context.baseLocation };
      metadata["metadata-log"] = [...metadata["metadata-log"], entry].slice(-previousVersionsMax(metadata));
    }
    return { kind: "applied", metadata: ofVersion(metadata) };
  }

  /** Rule F6. An entry whose snapshot is gone takes the history before it along: it would have a hole. */
  #snapshotLog(): TableMetadata["snapshot-log"] {
    const between = new Set(this.mains.slice(0, -1).filter((id) => id !== this.metadata["current-snapshot-id"]));
    const known = new Set(this.metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]));
    let log: TableMetadata["snapshot-log"][number][] = [];
    for (const entry of this.metadata["snapshot-log"]) {
      const id = entry["snapshot-id"];
      if (between.has(id) && this.addedSnapshots.has(id)) continue;
      if (known.has(id)) log.push(entry);
      else log = [];
    }
    return log;
  }
}

const empty: TableMetadata = {
  "format-version": 2,
  "table-uuid": "",
  location: "",
  "last-sequence-number": 0,
  "last-updated-ms": 0,
  "last-column-id": 0,
  "current-schema-id": -1,
  schemas: [],
  "default-spec-id": -1,
  "partition-specs": [],
  "last-partition-id": 999,
  "default-sort-order-id": -1,
  "sort-orders": [],
  properties: {},
  "current-snapshot-id": -1n,
  refs: {},
  snapshots: [],
  "snapshot-log": [],
  "metadata-log": [],
};

/** A new table is unpartitioned and unsorted unless its updates say otherwise. */
function addDefaults(draft: Draft): void {
  const { metadata } = draft;
  if (metadata["default-spec-id"] === -1) {
    addSpec(draft, { "spec-id": 0, fields: [] });
    metadata["default-spec-id"] = draft.lastSpecId as number;
  }
  if (metadata["default-sort-order-id"] === -1) {
    addSortOrder(draft, { "order-id": 0, fields: [] });
    metadata["default-sort-order-id"] = draft.lastOrderId as number;
  }
}

function missingParts(metadata: TableMetadata): string | undefined {
  if (metadata["table-uuid"] === "") return "the table has no uuid";
  if (metadata.location === "") return "the table has no location";
  if (metadata["current-schema-id"] === -1) return "the table has no schema";
  return undefined;
}

/** Rule F5; the default is the reference's. */
function previousVersionsMax(metadata: TableMetadata): number {
  const value = Number(metadata.properties["write.metadata.previous-versions-max"] ?? 100);
  return Number.isSafeInteger(value) && value >= 1 ? value : 100;
}

function applyUpdate(draft: Draft, update: Update): Refusal {
  const { metadata } = draft;
  switch (update.action) {
    case "assign-uuid":
      if (metadata["table-uuid"] !== "" && metadata["table-uuid"] !== update.uuid) {
        return invalid(`Cannot reassign uuid: ${metadata["table-uuid"]} to ${update.uuid}`);
      }
      metadata["table-uuid"] = update.uuid;
      return undefined;
    case "upgrade-format-version":
      return upgrade(draft, update["format-version"]);
    case "add-schema":
      return addSchema(draft, update.schema, update["last-column-id"]);
    case "set-current-schema":
      return setDefault(draft, "current-schema-id", update["schema-id"], draft.lastSchemaId, ids.schemas(metadata));
    case "add-spec":
      return addSpec(draft, update.spec);
    case "set-default-spec":
      return setDefault(draft, "default-spec-id", update["spec-id"], draft.lastSpecId, ids.specs(metadata));
    case "add-sort-order":
      return addSortOrder(draft, update["sort-order"]);
    case "set-default-sort-order":
      return setDefault(
        draft,
        "default-sort-order-id",
        update["sort-order-id"],
        draft.lastOrderId,
        ids.orders(metadata),
      );
    case "add-snapshot":
      return addSnapshot(draft, update.snapshot);
    case "set-snapshot-ref": {
      const { action: _action, "ref-name": name, ...ref } = update;
      return setRef(draft, name, ref);
    }
    case "remove-snapshots":
      return removeSnapshots(draft, new Set(update["snapshot-ids"]));
    case "remove-snapshot-ref":
      return removeRef(draft, update["ref-name"]);
    case "set-location":
      metadata.location = update.location.replace(/\/+$/, ""); // Rule F11.
      return undefined;
    case "set-properties":
      metadata.properties = { ...metadata.properties, ...update.updates };
      return undefined;
    case "remove-properties": {
      const removals = new Set(update.removals);
      metadata.properties = Object.fromEntries(
        Object.entries(metadata.properties).filter(([name]) => !removals.has(name)),
      );
      return undefined;
    }
    case "set-statistics":
      setStatistics(metadata, "statistics", update["snapshot-id"], update.statistics);
      return undefined;
    case "remove-statistics":
      removeStatistics(metadata, "statistics", new Set([update["snapshot-id"]]));
      return undefined;
    case "set-partition-statistics": {
      const file = update["partition-statistics"] as { readonly "snapshot-id": bigint | number };
      setStatistics(metadata, "partition-statistics", BigInt(file["snapshot-id"]), file);
      return undefined;
    }
    case "remove-partition-statistics":
      removeStatistics(metadata, "partition-statistics", new Set([update["snapshot-id"]]));
      return undefined;
    case "remove-partition-specs":
      if (update["spec-ids"].includes(metadata["default-spec-id"])) {
        return invalid("Cannot remove the default partition spec");
      }
      metadata["partition-specs"] = metadata["partition-specs"].filter(
        (spec) => !update["spec-ids"].includes(spec["spec-id"]),
      );
      return undefined;
    case "remove-schemas":
      if (update["schema-ids"].includes(metadata["current-schema-id"])) {
        return invalid("Cannot remove the current schema");
      }
      metadata.schemas = metadata.schemas.filter((schema) => !update["schema-ids"].includes(schema["schema-id"]));
      return undefined;
    case "add-encryption-key":
      addEncryptionKey(metadata, update["encryption-key"]);
      return undefined;
    case "remove-encryption-key":
      removeEncryptionKey(metadata, update["key-id"]);
      return undefined;
  }
}

function invalid(detail: string): Extract<Applied, { readonly kind: "invalid" }> {
  return { kind: "invalid", detail };
}

const ids = {
  schemas: (metadata: TableMetadata) => metadata.schemas.map((schema) => schema["schema-id"]),
  specs: (metadata: TableMetadata) => metadata["partition-specs"].map((spec) => spec["spec-id"]),
  orders: (metadata: TableMetadata) => metadata["sort-orders"].map((order) => order["order-id"]),
};

function nextId(used: readonly number[], first: number): number {
  return used.reduce((next, id) => Math.max(next, id + 1), first);
}

function upgrade({ metadata }: Draft, version: number): Refusal {
  if (version !== 1 && version !== 2 && version !== 3) {
    return invalid(`Cannot upgrade table to unsupported format version: v${version} (supported: v3)`);
  }
  if (metadata["table-uuid"] !== "" && metadata.schemas.length > 0 && version < metadata["format-version"]) {
    return invalid(`Cannot downgrade v${metadata["format-version"]} table to v${version}`);
  }
  metadata["format-version"] = version;
  if (version === 3) metadata["next-row-id"] ??= 0;
  return undefined;
}

function setDefault(
  { metadata }: Draft,
  name: "current-schema-id" | "default-spec-id" | "default-sort-order-id",
  id: number,
  lastAdded: number | undefined,
  known: readonly number[],
): Refusal {
  if (id === -1 && lastAdded === undefined) return invalid(`Cannot set ${name} to the last added: nothing was added`);
  const chosen = id === -1 ? (lastAdded as number) : id;
  if (!known.includes(chosen)) return invalid(`Cannot set ${name} to an unknown id: ${chosen}`);
  metadata[name] = chosen;
  return undefined;
}

function addSchema(draft: Draft, schema: Schema, lastColumnId: number | undefined): Refusal {
  const { metadata } = draft;
  const twice = idTwice(schema);
  if (twice !== undefined) return invalid(`Cannot add a schema in which two fields have the id ${twice}`);
  const last = Math.max(lastColumnId ?? 0, highestFieldId(schema), metadata["last-column-id"]);
  metadata["last-column-id"] = last;
  const same = metadata.schemas.find((known) => isSameSchema(known, schema)); // Rule G5.
  draft.lastSchemaId = same?.["schema-id"] ?? nextId(ids.schemas(metadata), 0);
  if (same === undefined) metadata.schemas = [...metadata.schemas, { ...schema, "schema-id": draft.lastSchemaId }];
  return undefined;
}

/** Rule G8: a field that an earlier spec has keeps its id; other fields without one get the next. */
function addSpec(draft: Draft, spec: PartitionSpec): Refusal {
  const { metadata } = draft;
  const unfit = spec.fields.find((field) => !isPartitionField(metadata, field));
  if (unfit !== undefined) return invalid(`Cannot add a partition spec: ${JSON.stringify(unfit)} is no field of one`);
  const earlier = metadata["partition-specs"].flatMap((known) => known.fields);
  let last = metadata["last-partition-id"];
  const fields = spec.fields.map((field: Omit<PartitionField, "field-id"> & { readonly "field-id"?: number }) => {
    const equivalent = earlier.find((known) => isSameField(known, field));
    const id = field["field-id"] ?? equivalent?.["field-id"] ?? last + 1;
    last = Math.max(last, id);
    return { ...field, "field-id": id };
  });
  const same = metadata["partition-specs"].find(
    (known) =>
      known.fields.length === fields.length &&
      known.fields.every((field, index) => isSameField(field, fields[index] as PartitionField)),
  );
  draft.lastSpecId = same?.["spec-id"] ?? nextId(ids.specs(metadata), 0);
  if (same === undefined) {
    metadata["partition-specs"] = [...metadata["partition-specs"], { "spec-id": draft.lastSpecId, fields }];
    metadata["last-partition-id"] = last;
  }
  return undefined;
}

function isSameField(a: PartitionField, b: Omit<PartitionField, "field-id">): boolean {
  return a["source-id"] === b["source-id"] && a.transform === b.transform && a.name === b.name;
}

/** Order 0 is the unsorted one, and only that. */
function addSortOrder(draft: Draft, order: SortOrder): Refusal {
  const { metadata } = draft;
  const unfit = order.fields.find((field) => !isSortField(metadata, field));
  if (unfit !== undefined) return invalid(`Cannot add a sort order: ${JSON.stringify(unfit)} is no field of one`);
  const same = metadata["sort-orders"].find((known) => isSameOrder(known, order));
  const fresh = order.fields.length === 0 ? 0 : nextId(ids.orders(metadata), 1);
  draft.lastOrderId = same?.["order-id"] ?? fresh;
  if (same === undefined) {
    metadata["sort-orders"] = [...metadata["sort-orders"], { ...order, "order-id": draft.lastOrderId }];
  }
  return undefined;
}

function isSameOrder(a: SortOrder, b: SortOrder): boolean {
  return (
    a.fields.length === b.fields.length &&
    a.fields.every((field, index) => {
      const other = b.fields[index] as SortOrder["fields"][number];
      return (
        field["source-id"] === other["source-id"] &&
        field.transform === other.transform &&
        field.direction === other.direction &&
        field["null-order"] === other["null-order"]
      );
    })
  );
}

function addSnapshot(draft: Draft, snapshot: Snapshot): Refusal {
  const { metadata } = draft;
  const id = snapshot["snapshot-id"];
  if (metadata.snapshots.some((known) => known["snapshot-id"] === id)) {
    return invalid(`Snapshot already exists for id: ${id}`);
  }
  const sequence = snapshot["sequence-number"] ?? 0;
  const isOld = sequence <= metadata["last-sequence-number"] && snapshot["parent-snapshot-id"] !== undefined;
  // Retriable: the writer planned on a base that another commit has replaced.
  if (metadata["format-version"] > 1 && isOld) {
    const last = metadata["last-sequence-number"];
    const detail = `Cannot add snapshot with sequence number ${sequence} older than last sequence number ${last}`;
    return { kind: "failed-requirement", detail };
  }
  if (metadata["format-version"] === 3) {
    const refusal = countRows(draft, snapshot);
    if (refusal !== undefined) return refusal;
  }
  metadata.snapshots = [...metadata.snapshots, snapshot];
  metadata["last-sequence-number"] = Math.max(sequence, metadata["last-sequence-number"]);
  metadata["last-updated-ms"] = snapshot["timestamp-ms"];
  draft.addedSnapshots.add(id);
  return undefined;
}

/** Rule I1: version 3 gives every row an id; a snapshot takes its rows' ids from the table's counter. */
function countRows({ metadata }: Draft, snapshot: Snapshot): Refusal {
  const { "first-row-id": first, "added-rows": added } = snapshot as Snapshot & Readonly<Record<string, unknown>>;
  const next = Number(metadata["next-row-id"] ?? 0);
  if (typeof first !== "number") return invalid("Cannot add a snapshot: first-row-id is null");
  if (first < next) {
    const detail = `Cannot add a snapshot, first-row-id is behind table next-row-id: ${first} < ${next}`;
    return { kind: "failed-requirement", detail };
  }
  metadata["next-row-id"] = next + Number(added ?? 0);
  return undefined;
}

function setRef(draft: Draft, name: string, ref: SnapshotRef): Refusal {
  const { metadata } = draft;
  const id = ref["snapshot-id"];
  const snapshot = metadata.snapshots.find((known) => known["snapshot-id"] === id);
  if (snapshot === undefined) return invalid(`Cannot set ${name} to unknown snapshot: ${id}`);
  const unfit = unfitRef(ref);
  if (unfit !== undefined) return invalid(`Cannot set ${name}: ${unfit}`);
  if (name === "main") {
    if (ref.type !== "branch") return invalid("Cannot set main to a tag, it must be a branch");
    if (metadata["current-snapshot-id"] !== id) {
      const last = metadata["snapshot-log"].at(-1)?.["timestamp-ms"] ?? 0;
      const at = draft.addedSnapshots.has(id) ? snapshot["timestamp-ms"] : Math.max(draft.nowMs, last);
      if (at < last - skewMsMax)
        return invalid(`Invalid snapshot timestamp ${at}: before last snapshot log entry at ${last}`);
      metadata["snapshot-log"] = [...metadata["snapshot-log"], { "timestamp-ms": at, "snapshot-id": id }];
      metadata["current-snapshot-id"] = id;
      draft.mains.push(id);
    }
  }
  metadata.refs = { ...metadata.refs, [name]: ref };
  return undefined;
}

function removeRef({ metadata }: Draft, name: string): Refusal {
  if (name === "main") metadata["current-snapshot-id"] = -1n;
  metadata.refs = Object.fromEntries(Object.entries(metadata.refs).filter(([known]) => known !== name));
  return undefined;
}

function removeSnapshots(draft: Draft, removed: ReadonlySet<bigint>): Refusal {
  const { metadata } = draft;
  metadata.snapshots = metadata.snapshots.filter((snapshot) => !removed.has(snapshot["snapshot-id"]));
  for (const [name, ref] of Object.entries(metadata.refs)) {
    if (removed.has(ref["snapshot-id"])) removeRef(draft, name);
  }
  removeStatistics(metadata, "statistics", removed);
  removeStatistics(metadata, "partition-statistics", removed);
  return undefined;
}

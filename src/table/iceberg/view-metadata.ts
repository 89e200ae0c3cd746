/**
 * Metadata of views (Iceberg's view spec, version 1) and what changes it. Pure; it follows the reference's ViewMetadata.Builder,
 * so that a client that replays its own updates comes to the same result.
 *
 *   { "view-uuid", "format-version": 1, "location", "schemas", "versions", "current-version-id", "version-log", "properties" }
 *
 * A version is a query in one or more dialects, with the schema of its rows. Versions are numbered from 1, and never change.
 */
import { isDeepStrictEqual } from "node:util";
import { CorruptData } from "../../base/errors.ts";
import { isJsonObject, type JsonObject, parseJsonObject, renderJson } from "./json.ts";
import { isSameSchema } from "./schema-ids.ts";
import type { Schema } from "./types.ts";

export interface ViewMetadata {
  readonly "view-uuid": string;
  readonly "format-version": number;
  readonly location: string;
  readonly schemas: readonly Schema[];
  readonly "current-version-id": number;
  readonly versions: readonly ViewVersion[];
  readonly "version-log": readonly { readonly "timestamp-ms": number; readonly "version-id": number }[];
  readonly properties: Readonly<Record<string, string>>;
}

export interface ViewVersion {
  readonly "version-id": number;
  readonly "timestamp-ms": number;
  readonly "schema-id": number;
  readonly summary: Readonly<Record<string, string>>;
  readonly representations: readonly Representation[];
  readonly "default-catalog"?: string | null;
  readonly "default-namespace": readonly string[];
}

/** The only type that there is. */
export interface Representation {
  readonly type: "sql";
  readonly sql: string;
  readonly dialect: string;
}

export type ViewUpdate =
  | { readonly action: "assign-uuid"; readonly uuid: string }
  | { readonly action: "upgrade-format-version"; readonly "format-version": number }
  | { readonly action: "add-schema"; readonly schema: Schema }
  | { readonly action: "set-location"; readonly location: string }
  | { readonly action: "set-properties"; readonly updates: Readonly<Record<string, string>> }
  | { readonly action: "remove-properties"; readonly removals: readonly string[] }
  | { readonly action: "add-view-version"; readonly "view-version": ViewVersion }
  | { readonly action: "set-current-view-version"; readonly "view-version-id": number };

export type ViewApplied =
  | { readonly kind: "applied"; readonly metadata: ViewMetadata }
  | { readonly kind: "invalid"; readonly detail: string };

const formatVersion = 1;
/** Stands for what the same request has just added. */
const lastAdded = -1;
const historySizeDefault = 10;

/** `base` undefined: the updates make the view. The very base when they change nothing. */
export function applyViewUpdates(
  base: ViewMetadata | undefined,
  updates: readonly ViewUpdate[],
  nowMs: number,
): ViewApplied {
  const draft = new Draft(base, nowMs);
  for (const update of updates) {
    const problem = draft.apply(update);
    if (problem !== undefined) return { kind: "invalid", detail: problem };
  }
  return draft.finish();
}

class Draft {
  readonly #base: ViewMetadata | undefined;
  readonly #nowMs: number;
  readonly #metadata: { -readonly [name in keyof ViewMetadata]: ViewMetadata[name] };
  readonly #added = new Set<number>();
  #lastSchemaId: number | undefined;
  #lastVersionId: number | undefined;

  constructor(base: ViewMetadata | undefined, nowMs: number) {
    this.#base = base;
    this.#nowMs = nowMs;
    this.#metadata = {
      ...(base ?? {
        "view-uuid": "",
        "format-version": formatVersion,
        location: "",
        schemas: [],
        "current-version-id": lastAdded,
        versions: [],
        "version-log": [],
        properties: {},
      }),
    };
  }

  /** Why it cannot be. */
  apply(update: ViewUpdate): string | undefined {
    const metadata = this.#metadata;
    switch (update.action) {
      case "assign-uuid":
        if (this.#base !== undefined && this.#base["view-uuid"] !== update.uuid) return "Cannot reassign uuid";
        metadata["view-uuid"] = update.uuid;
        return undefined;
      case "upgrade-format-version":
        return update["format-version"] === formatVersion
          ? undefined
          : `Cannot upgrade view to unsupported format version: v${update["format-version"]}`;
      case "add-schema":
        this.#addSchema(update.schema);
        return undefined;
      case "set-location":
        metadata.location = update.location;
        return undefined;
      case "set-properties":
        metadata.properties = { ...metadata.properties, ...update.updates };
        return undefined;
      case "remove-properties": {
        const left = Object.entries(metadata.properties).filter(([name]) => !update.removals.includes(name));
        if (left.length < Object.keys(metadata.properties).length) metadata.properties = Object.fromEntries(left);
        return undefined;
      }
      case "add-view-version":
        return this.#addVersion(update["view-version"]);
      case "set-current-view-version":
        return this.#setCurrent(update["view-version-id"]);
    }
  }

  finish(): ViewApplied {
    const metadata = this.#metadata;
    const base = this.#base;
    const invalid = (detail: string): ViewApplied => ({ kind: "invalid", detail });
    if (base !== undefined && isDeepStrictEqual(metadata, base)) return { kind: "applied", metadata: base };
    if (metadata.location === "") return invalid("Invalid location: null");
    if (metadata.versions.length === 0) return invalid("Invalid view: no versions were added");
    const current = versionOf(metadata, metadata["current-version-id"]);
    if (current === undefined) return invalid(`Cannot find current version ${metadata["current-version-id"]} in view`);
    const before = base === undefined ? undefined : versionOf(base, base["current-version-id"]);
    if (metadata.properties["replace.drop-dialect.allowed"] !== "true" && before !== undefined) {
      const [was, is] = [dialectsOf(before), dialectsOf(current)];
      if ([...was].some((dialect) => !is.has(dialect)))
        return invalid(
          `Cannot replace view due to loss of view dialects (replace.drop-dialect.allowed=false):\nPrevious dialects: [${[...was].join(", ")}]\nNew dialects: [${[...is].join(", ")}]`,
        );
    }
    const text = metadata.properties["version.history.num-entries"];
    const size = text === undefined ? historySizeDefault : Number(text);
    if (!Number.isInteger(size) || size <= 0)
      return invalid(`version.history.num-entries must be positive but was ${text}`);
    return { kind: "applied", metadata: forgetting(metadata, Math.max(this.#added.size, size)) };
  }

  #addSchema(schema: Schema): void {
    const metadata = this.#metadata;
    const same = metadata.schemas.find((known) => isSameSchema(known, schema));
    const id = same?.["schema-id"] ?? metadata.schemas.reduce((next, each) => Math.max(next, each["schema-id"] + 1), 0);
    this.#lastSchemaId = id;
    if (same === undefined) metadata.schemas = [...metadata.schemas, { ...schema, "schema-id": id }];
  }

  #addVersion(given: ViewVersion): string | undefined {
    const metadata = this.#metadata;
    if (given["schema-id"] === lastAdded && this.#lastSchemaId === undefined)
      return "Cannot set last added schema: no schema has been added";
    const schemaId = given["schema-id"] === lastAdded ? (this.#lastSchemaId as number) : given["schema-id"];
    const version = { ...given, "schema-id": schemaId };
    const same = metadata.versions.find((known) => isSameVersion(known, version));
    if (same !== undefined) {
      this.#lastVersionId = same["version-id"];
      return undefined;
    }
    if (!metadata.schemas.some((schema) => schema["schema-id"] === schemaId))
      return `Cannot add version with unknown schema: ${schemaId}`;
    const dialects = version.representations.map(({ dialect }) => dialect.toLowerCase());
    const twice = dialects.find((dialect, at) => dialects.indexOf(dialect) < at);
    if (twice !== undefined) return `Invalid view version: Cannot add multiple queries for dialect ${twice}`;
    const id = metadata.versions.reduce((next, each) => Math.max(next, each["version-id"] + 1), given["version-id"]);
    metadata.versions = [...metadata.versions, { ...version, "version-id": id }];
    this.#added.add(id);
    this.#lastVersionId = id;
    return undefined;
  }

  #setCurrent(given: number): string | undefined {
    const metadata = this.#metadata;
    if (given === lastAdded && this.#lastVersionId === undefined)
      return "Cannot set last version id: no current version id has been set";
    const id = given === lastAdded ? (this.#lastVersionId as number) : given;
    if (id === metadata["current-version-id"]) return undefined;
    const version = versionOf(metadata, id);
    if (version === undefined) return `Cannot set current version to unknown version: ${id}`;
    metadata["current-version-id"] = id;
    const at = this.#added.has(id) ? version["timestamp-ms"] : this.#nowMs;
    // Of several in one request, the last is what the view was.
    const log = this.#base?.["version-log"] ?? [];
    metadata["version-log"] = [...log, { "timestamp-ms": at, "version-id": id }];
    return undefined;
  }
}

/** The newest versions, the current one always among them; the log begins where none of its versions is gone. */
function forgetting(metadata: ViewMetadata, count: number): ViewMetadata {
  if (metadata.versions.length <= count) return metadata;
  const current = metadata["current-version-id"];
  const newest = metadata.versions.map((version) => version["version-id"]).sort((a, b) => b - a);
  const kept = new Set([current, ...newest.filter((id) => id !== current).slice(0, count - 1)]);
  const gone = metadata["version-log"].findLastIndex((entry) => !kept.has(entry["version-id"]));
  return {
    ...metadata,
    versions: metadata.versions.filter((version) => kept.has(version["version-id"])),
    "version-log": metadata["version-log"].slice(gone + 1),
  };
}

function versionOf({ versions }: ViewMetadata, id: number): ViewVersion | undefined {
  return versions.find((version) => version["version-id"] === id);
}

function dialectsOf({ representations }: ViewVersion): ReadonlySet<string> {
  return new Set(representations.map(({ dialect }) => dialect.toLowerCase()));
}

function isSameVersion(one: ViewVersion, other: ViewVersion): boolean {
  const told = (version: ViewVersion) => [
    version.summary,
    version.representations,
    version["default-catalog"] ?? null,
    version["default-namespace"],
    version["schema-id"],
  ];
  return isDeepStrictEqual(told(one), told(other));
}

export function renderView(metadata: ViewMetadata): string {
  return renderJson(metadata);
}

export function parseView(text: string, source: string): ViewMetadata {
  const json: JsonObject = parseJsonObject(text, source);
  const isWhole =
    typeof json["view-uuid"] === "string" &&
    typeof json["location"] === "string" &&
    typeof json["current-version-id"] === "number" &&
    json["format-version"] === formatVersion &&
    [json["schemas"], json["versions"], json["version-log"]].every((list) => Array.isArray(list));
  if (isWhole)
    return {
      ...json,
      properties: isJsonObject(json["properties"]) ? json["properties"] : {},
    } as unknown as ViewMetadata;
  throw new CorruptData({ source, position: 0, expected: "metadata of a view, version 1", found: text.slice(0, 80) });
}

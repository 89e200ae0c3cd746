/** What the metadata log keeps of a table's schema (the bytes of a table-schema event): JSON, read by later versions too. */
import type { FormatVersion } from "../../schemas/iceberg.ts";
import { CorruptData } from "../base/errors.ts";
import type { TableInfo } from "../metadata/image.ts";
import type { TableName } from "./catalog.ts";
import { isJsonObject, parseJsonObject, renderJson } from "./iceberg/json.ts";
import type { SortOrder, TableMetadata } from "./iceberg/metadata.ts";
import type { PartitionSpec } from "./iceberg/types.ts";
import type { TableMapping } from "./schema/schema-map.ts";
import type { TableSettings } from "./settings.ts";
import type { Backfill } from "./tools/backfill-plan.ts";
import { withoutSlash } from "./warehouse.ts";

export interface TableState {
  /** As the catalog made it; another one later means that somebody replaced the table. null until it was made. */
  readonly tableUuid: string | null;
  /** Rounds are translated with these; `schemaId` is the catalog's number of mapping.schema. */
  readonly mapping: TableMapping;
  readonly schemaId: number;
  readonly spec: PartitionSpec;
  /** Of delete files: a spec of the table without fields. Only tables with a key have one. */
  readonly deleteSpec?: PartitionSpec | null;
  /** Rows of each file stand in this order. Absent: as they came. */
  readonly sortOrder?: SortOrder;
  /** Whose spec and sort order these are. Absent in states of earlier versions. */
  readonly layout?: LayoutOwner;
  /** Where files go, so that a catalog's outage does not stop translation; null until the table was made. */
  readonly places: Places | null;
  /** That the table's manifests are written in. Absent: 2. */
  readonly formatVersion?: FormatVersion;
  readonly deadLetterPlaces: Places | null;
  /** The newest. Absent: there was none. */
  readonly backfill?: Backfill;
  /** Key of the set of dead letters that became rows later (tools/replayed.ts). Absent: none did. */
  readonly replayed?: string;
  /**
   * The mapping that the catalog is being asked for. In the log before the catalog is asked, so that a crash in between
   * finds the same field ids again. `after`: the catalog's last-column-id that it was planned on.
   */
  readonly next: Wish | null;
}

export interface Wish {
  readonly mapping: TableMapping;
  readonly after: number;
  /** The catalog's schema that it was planned on: another one means that somebody changed the table meanwhile. */
  readonly onto?: number;
  readonly isLayoutTheirs?: boolean;
}

export interface LayoutOwner {
  /** What the settings said when it was last brought in line with them. */
  readonly key: string;
  /** Somebody else has changed it since: theirs stands until the settings change. */
  readonly isTheirs: boolean;
}

/** URIs of directories. */
export interface Places {
  readonly data: string;
  readonly metadata: string;
}

/** Where the catalog and the table's owner want files (rule J11). */
export function placesOf(table: TableMetadata): Places {
  const { location, properties } = table;
  return {
    data: withoutSlash(properties["write.data.path"] ?? `${location}/data`),
    metadata: withoutSlash(properties["write.metadata.path"] ?? `${location}/metadata`),
  };
}

export function encodeTableState(state: TableState): Uint8Array {
  return Buffer.from(renderJson(state), "utf8");
}

/** undefined before the first table-schema event. */
export function tableStateOf(table: TableInfo): TableState | undefined {
  if (table.schema.length === 0) return undefined;
  const source = `state of table ${table.id}`;
  const json = parseJsonObject(Buffer.from(table.schema).toString("utf8"), source);
  if (!isJsonObject(json["mapping"]) || !isJsonObject(json["spec"])) {
    throw new CorruptData({ source, position: 0, expected: "a mapping and a spec", found: Object.keys(json).join() });
  }
  return json as unknown as TableState;
}

/** The name in the catalog: a recreated topic's table must not be its predecessor's. */
export function tableName(settings: TableSettings, generation: number): TableName {
  return { namespace: settings.namespace, name: withGeneration(settings.table, generation) };
}

export function deadLetterName(settings: TableSettings, generation: number): TableName {
  return { namespace: settings.namespace, name: withGeneration(settings.errors.deadLetterTable, generation) };
}

function withGeneration(name: string, generation: number): string {
  return generation === 1 ? name : `${name}__g${generation}`;
}

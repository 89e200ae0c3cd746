/** How one setting is declared. The table itself is schemas/config.ts. */

export type SettingType = "string" | "integer" | "bytes" | "ms" | "boolean" | "list";

export interface Setting<T extends SettingType> {
  /** Dotted, lower case, unit and bound last: "wal.segment.bytes". YAML nests by the dots; INLET_WAL_SEGMENT_BYTES; --wal-segment-bytes. */
  readonly key: string;
  readonly type: T;
  readonly default: SettingValue<T>;
  readonly min?: number;
  readonly max?: number;
  readonly oneOf?: readonly string[];
  /** Never printed, logged or described. */
  readonly secret?: boolean;
  /** One sentence for docs/config.md and editors. */
  readonly doc: string;
}

/** bytes, ms and integer are numbers; YAML also accepts "64MiB", "30s". */
export type SettingValue<T extends SettingType> = T extends "string"
  ? string
  : T extends "boolean"
    ? boolean
    : T extends "list"
      ? readonly string[]
      : number;

export function setting<const T extends SettingType>(declaration: Setting<T>): Setting<T> {
  return declaration;
}

export type SettingsOf<Table extends Readonly<Record<string, Setting<SettingType>>>> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer T> ? SettingValue<T> : never;
};

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

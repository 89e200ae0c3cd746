/** The shape of the whole file: the settings table nested by the dots of its keys, and the blocks of the lake. */
import { settingsTable } from "../../schemas/config.ts";
import { assert } from "../base/errors.ts";
import type { Setting, SettingType } from "../base/settings.ts";
import { lakeShape, topicsShape } from "./lake.ts";
import { listenersShape, saslShape } from "./security.ts";
import {
  boolean,
  bytes,
  type Fields,
  integer,
  list,
  ms,
  type ObjectShape,
  object,
  oneOf,
  type Shape,
  text,
} from "./shape.ts";

export type AnySetting = Setting<SettingType>;

/** Every row of the table with the name that Settings gives it. */
export const settingRows: readonly (readonly [name: string, setting: AnySetting])[] = Object.entries(settingsTable);

export const fileShape: ObjectShape = object("Inlet's configuration.", {
  ...nested(settingRows.map(([, setting]) => ({ path: setting.key.split("."), setting }))),
  listeners: listenersShape,
  sasl: saslShape,
  lake: lakeShape,
  topics: topicsShape,
});

export function variableOf(setting: AnySetting): string {
  return `INLET_${setting.key.toUpperCase().replaceAll(".", "_")}`;
}

export function flagOf(setting: AnySetting): string {
  return `--${setting.key.replaceAll(".", "-")}`;
}

interface Row {
  readonly path: readonly string[];
  readonly setting: AnySetting;
}

function nested(rows: readonly Row[]): Fields {
  const groups = Map.groupBy(rows, ({ path }) => path[0] as string);
  return Object.fromEntries(
    [...groups].map(([key, group]) => {
      const only = group.find(({ path }) => path.length === 1);
      if (only === undefined) {
        return [key, object("", nested(group.map(({ path, setting }) => ({ path: path.slice(1), setting }))))];
      }
      // "a.b" beside "a.b.c" could not both be said in YAML.
      assert(group.length === 1, `setting ${only.setting.key} is also the beginning of another`);
      return [key, shapeOf(only.setting)];
    }),
  );
}

export function shapeOf(row: AnySetting): Shape {
  const options = {
    doc: row.doc,
    isSecret: row.secret === true,
    ...(row.min === undefined ? {} : { min: row.min }),
    ...(row.max === undefined ? {} : { max: row.max }),
  };
  switch (row.type) {
    case "string":
      return row.oneOf === undefined
        ? text({ ...options, default: row.default as string })
        : oneOf(row.oneOf, { ...options, default: row.default as string });
    case "integer":
      return integer({ ...options, default: row.default as number });
    case "bytes":
      return bytes({ ...options, default: row.default as number });
    case "ms":
      return ms({ ...options, default: row.default as number });
    case "boolean":
      return boolean({ ...options, default: row.default as boolean });
    case "list":
      return list(row.doc, text({ doc: row.doc }), row.default as readonly string[]);
  }
}

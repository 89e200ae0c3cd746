/**
 * The one table of settings. docs/config.md, schemas/inlet.schema.json, --help and the INLET_* variables are rendered from
 * it; the values that a process runs with have the type Settings. One file a layer, in the order of the layers.
 */
import type { SettingsOf } from "../src/base/settings.ts";
import { access } from "./config/access.ts";
import { catalog } from "./config/catalog.ts";
import { coordinator } from "./config/coordinator.ts";
import { log } from "./config/log.ts";
import { metadata } from "./config/metadata.ts";
import { node } from "./config/node.ts";
import { objectStore } from "./config/object-store.ts";
import { registry } from "./config/registry.ts";
import { security } from "./config/security.ts";
import { server } from "./config/server.ts";
import { share } from "./config/share.ts";
import { stream } from "./config/stream.ts";
import { table } from "./config/table.ts";
import { tableMaintenance } from "./config/table-maintenance.ts";
import { telemetry } from "./config/telemetry.ts";
import { transactions } from "./config/transactions.ts";

export const settingsTable = {
  ...node,
  ...objectStore,
  ...metadata,
  ...stream,
  ...log,
  ...coordinator,
  ...transactions,
  ...share,
  ...registry,
  ...table,
  ...tableMaintenance,
  ...catalog,
  ...server,
  ...access,
  ...security,
  ...telemetry,
};

export type Settings = SettingsOf<typeof settingsTable>;

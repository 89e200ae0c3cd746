/** From what the settings say of a catalog to the adapter that speaks to it. */
import { open as openGlueCatalog } from "../catalogs/glue.ts";
import { open as openHmsCatalog } from "../catalogs/hms.ts";
import { open as openJdbcCatalog } from "../catalogs/jdbc.ts";
import { open as openRestCatalog, type RestCatalogDeps, type RestCatalogSettings } from "../catalogs/rest.ts";
import { open as openS3TablesCatalog } from "../catalogs/s3tables.ts";
import type { Settings } from "../schemas/config.ts";
import type { Runtime } from "./base/runtime.ts";
import type { Logger } from "./base/telemetry.ts";
import type { CatalogSettings } from "./config/catalogs.ts";
import type { Catalog } from "./table/catalog.ts";
import type { Warehouse } from "./table/warehouse.ts";

export interface CatalogDeps {
  readonly settings: Settings;
  readonly warehouse: Warehouse;
  /** URI below which tables go whose catalog leaves the place to us. */
  readonly warehouseRoot: string;
  readonly runtime: Runtime;
  readonly logger: Logger;
  /** Where the embedded catalog listens, without /v1. */
  readonly embeddedUrl: string;
  /** The simulation answers these without sockets. */
  readonly fetch?: NonNullable<Parameters<typeof openRestCatalog>[1]["fetch"]>;
  /** Opens a bucket that a catalog lends access to. */
  readonly openBucket?: NonNullable<RestCatalogDeps["files"]>["open"];
}

export function openCatalog(name: string, catalog: CatalogSettings, deps: CatalogDeps): Catalog {
  const { runtime, logger, settings, fetch, warehouse } = deps;
  const limits = {
    requestMsMax: settings.tableCatalogRequestMsMax,
    responseBytesMax: settings.tableCatalogResponseBytesMax,
  };
  const { openBucket: open } = deps;
  const files = open === undefined ? {} : { files: { warehouse, open } };
  const restDeps = { runtime, logger, limits, ...files, ...(fetch === undefined ? {} : { fetch }) };
  const placing = (own: { readonly warehouse: string | null }) => {
    return { runtime, logger, limits, warehouse, warehouseRoot: own.warehouse ?? deps.warehouseRoot };
  };
  switch (catalog.type) {
    case "embedded":
    case "rest":
      return openRestCatalog(
        restSettings(name, catalog, { url: deps.embeddedUrl, token: settings.catalogToken }),
        restDeps,
      );
    case "s3tables":
      return openS3TablesCatalog(catalog, restDeps);
    case "jdbc":
      return openJdbcCatalog(catalog, placing(catalog));
    case "glue":
      return openGlueCatalog(catalog, placing(catalog));
    case "hms":
      return openHmsCatalog(catalog, placing(catalog));
  }
}

/** The embedded catalog is reached as any other is. Exported for its test. */
export function restSettings(
  name: string,
  catalog: Extract<CatalogSettings, { readonly type: "embedded" | "rest" }>,
  embedded: { readonly url: string; readonly token: string },
): RestCatalogSettings {
  if (catalog.type === "rest") return catalog;
  return {
    name,
    uri: embedded.url,
    warehouse: name,
    auth: embedded.token === "" ? { kind: "none" } : { kind: "bearer", token: embedded.token },
    accessDelegation: null,
    properties: new Map(),
  };
}

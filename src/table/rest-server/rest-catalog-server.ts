/**
 * The embedded Iceberg REST catalog: its routes, for the HTTP server to listen with. Pointers and namespaces stand in the
 * metadata log, metadata files in the warehouse. By default it tells clients nothing secret.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { HttpRequest, HttpResponse, HttpRoute } from "../../base/http.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { Logger } from "../../base/telemetry.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Warehouse } from "../warehouse.ts";
import { CatalogPointers, type CatalogPointersOptions } from "./catalog-pointers.ts";
import { answering, json, noContent, notAuthorized } from "./rest-catalog-server-answers.ts";
import { NamespaceHandlers } from "./rest-catalog-server-namespaces.ts";
import { TableHandlers } from "./rest-catalog-server-tables.ts";
import { ViewHandlers } from "./rest-catalog-server-views.ts";

export { restCatalogErrorWords } from "./rest-catalog-server-answers.ts";

export interface RestCatalogOptions {
  readonly metadata: MetadataClient;
  readonly warehouse: Warehouse;
  /** URI under which new tables get their places: "s3://lake/warehouse", "file:///srv/lake". */
  readonly root: string;
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly limits: CatalogPointersOptions["limits"];
  /** What every table's answer says about reaching files: s3.endpoint, s3.path-style-access, client.region, … */
  readonly fileAccess: ReadonlyMap<string, string>;
  /**
   * Readers' own keys (s3.access-key-id, s3.secret-access-key), given to every client that can reach the catalog. null:
   * nothing is vended. Never the broker's own keys.
   */
  readonly vendedCredentials: ReadonlyMap<string, string> | null;
  /** That clients must show; null lets in whoever reaches the catalog. */
  readonly token: string | null;
}

export function restCatalogRoutes(options: RestCatalogOptions): readonly HttpRoute[] {
  const { metadata, root, runtime } = options;
  const namespaces = new NamespaceHandlers(metadata);
  const pointers = new CatalogPointers(options);
  const { clock, random } = runtime;
  const views = new ViewHandlers({ ...options, pointers, clock, random });
  const tables = new TableHandlers({
    metadata,
    pointers,
    root,
    clock,
    random,
    tableConfig: new Map([...options.fileAccess, ...(options.vendedCredentials ?? [])]),
  });
  const endpoints: readonly Endpoint[] = [
    ["GET", "/namespaces", (request) => namespaces.list(request)],
    ["POST", "/namespaces", (request) => namespaces.create(request)],
    ["GET", "/namespaces/:namespace", (request) => namespaces.load(request)],
    ["HEAD", "/namespaces/:namespace", (request) => namespaces.head(request)],
    ["DELETE", "/namespaces/:namespace", (request) => namespaces.drop(request)],
    ["POST", "/namespaces/:namespace/properties", (request) => namespaces.setProperties(request)],
    ["GET", "/namespaces/:namespace/tables", (request) => tables.list(request)],
    ["POST", "/namespaces/:namespace/tables", (request) => tables.create(request)],
    ["POST", "/namespaces/:namespace/register", (request) => tables.register(request)],
    ["GET", "/namespaces/:namespace/tables/:table", (request) => tables.load(request)],
    ["HEAD", "/namespaces/:namespace/tables/:table", (request) => tables.head(request)],
    ["POST", "/namespaces/:namespace/tables/:table", (request) => tables.commit(request)],
    ["DELETE", "/namespaces/:namespace/tables/:table", (request) => tables.drop(request)],
    ["POST", "/namespaces/:namespace/tables/:table/metrics", () => noContent],
    ["GET", "/namespaces/:namespace/views", (request) => views.list(request)],
    ["POST", "/namespaces/:namespace/views", (request) => views.create(request)],
    ["GET", "/namespaces/:namespace/views/:view", (request) => views.load(request)],
    ["HEAD", "/namespaces/:namespace/views/:view", (request) => views.head(request)],
    ["POST", "/namespaces/:namespace/views/:view", (request) => views.replace(request)],
    ["DELETE", "/namespaces/:namespace/views/:view", (request) => views.drop(request)],
    ["POST", "/namespaces/:namespace/register-view", (request) => views.register(request)],
    ["POST", "/views/rename", (request) => views.rename(request)],
    ["POST", "/tables/rename", (request) => tables.rename(request)],
    ["POST", "/transactions/commit", (request) => tables.commitAll(request)],
  ];
  const { token } = options;
  const config = ["GET", "/config", () => configAnswer(root, endpoints)] as const;
  const ofClient = ([method, path, handle]: Endpoint, base: string): HttpRoute => {
    const answer = answering(handle);
    // Java's clients encode names with URLEncoder, and the reference decodes them so.
    const route = { method, path: base + path, isFormEncoded: true };
    return { ...route, handle: token === null ? answer : authorized(token, answer) };
  };
  // Clients that were told no prefix send none; some send their warehouse's name as one.
  const routes = ["/v1", "/v1/:prefix"].flatMap((base) => endpoints.map((endpoint) => ofClient(endpoint, base)));
  return [ofClient(config, "/v1"), ...routes];
}

/** The configuration too: clients ask for it first, and learn there that they need a token. */
function authorized(token: string, handle: HttpRoute["handle"]): HttpRoute["handle"] {
  const wanted = digest(`Bearer ${token}`);
  return (request) => {
    const shown = request.headers.get("authorization") ?? "";
    return timingSafeEqual(digest(shown), wanted) ? handle(request) : notAuthorized;
  };
}

/** Of equal length, whatever was shown. */
function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

type Endpoint = readonly [
  method: HttpRoute["method"],
  path: string,
  handle: (request: HttpRequest) => HttpResponse | Promise<HttpResponse>,
];

/** Always lists the endpoints: what clients assume without the list differs from client to client. */
function configAnswer(root: string, endpoints: readonly Endpoint[]): HttpResponse {
  const listed = endpoints.map(([method, path]) => `${method} /v1/{prefix}${path.replaceAll(/:(\w+)/g, "{$1}")}`);
  return json(200, { defaults: { warehouse: root }, overrides: {}, endpoints: listed });
}

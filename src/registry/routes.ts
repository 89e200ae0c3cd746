/** The Schema Registry's REST API (Confluent's, versions 7 and 8) as routes over SchemaRegistry. */
import type { HttpRoute } from "../base/http.ts";
import { route } from "./route-answer.ts";
import { insideContext } from "./route-context.ts";
import { schemaRoutes } from "./routes-schemas.ts";
import { configRoutes, contextListRoutes, contextRoutes, modeRoutes } from "./routes-settings.ts";
import { compatibilityRoutes, subjectRoutes, versionRoutes } from "./routes-subjects.ts";
import type { SchemaRegistry } from "./schema-registry.ts";

export interface RegistryRoutesOptions {
  readonly registry: SchemaRegistry;
  readonly clusterId: string;
  readonly version: string;
}

export function registryRoutes(options: RegistryRoutesOptions): readonly HttpRoute[] {
  const { registry } = options;
  const routes = [
    ...schemaRoutes(registry),
    ...subjectRoutes(registry),
    ...versionRoutes(registry),
    ...compatibilityRoutes(registry),
    ...configRoutes(registry),
    ...modeRoutes(registry),
  ];
  const everywhere = [...contextListRoutes(registry), ...routes];
  return [...serverRoutes(options), ...contextRoutes(registry), ...everywhere, ...everywhere.map(insideContext)];
}

function serverRoutes({ clusterId, version }: RegistryRoutesOptions): readonly HttpRoute[] {
  const scope = { path: [], clusters: { "kafka-cluster": clusterId, "schema-registry-cluster": "schema-registry" } };
  return [
    route("GET", "/", () => ({})),
    route("POST", "/", () => ({})),
    route("GET", "/status/ready", () => ({})),
    route("GET", "/v1/metadata/id", () => ({ id: "", scope })),
    route("GET", "/v1/metadata/deployment", () => ({ attributes: [] })),
    route("GET", "/v1/metadata/version", () => ({ version, commitId: "" })),
  ];
}

/** Where tables find schemas: in the registry of this cluster, or in another one. */
import { readFileSync } from "node:fs";
import type { Settings } from "../schemas/config.ts";
import type { Runtime } from "./base/runtime.ts";
import { canonicalSubject, contextOf } from "./registry/context.ts";
import { httpGetter } from "./registry/external-http.ts";
import { ExternalRegistry } from "./registry/external-registry.ts";
import { GlueRegistry } from "./registry/glue-registry.ts";
import type { SchemaRegistry } from "./registry/schema-registry.ts";
import { schemaText } from "./table/schema/registry-guard.ts";
import type { LatestId, SchemaById } from "./table/translate/translate.ts";

export interface SchemaSource {
  readonly schemaById: SchemaById;
  readonly latestId: LatestId;
}

export function openSchemaSource(settings: Settings, embedded: SchemaRegistry, runtime: Runtime): SchemaSource {
  if (settings.registryExternalKind === "glue") return glueSchemas(settings);
  return settings.registryExternalUrls.length === 0 ? ownSchemas(embedded) : externalSchemas(settings, runtime);
}

function ownSchemas(registry: SchemaRegistry): SchemaSource {
  return {
    schemaById: async (id, subject) => {
      const context = contextOf(canonicalSubject(subject));
      const number = typeof id === "number" ? id : registry.subjects.ids(context).idOfGuid(id);
      const found = number === undefined ? undefined : registry.schemaById(number, context);
      return found === undefined ? undefined : schemaText(found);
    },
    latestId: async (subject) =>
      registry.subjects.version(canonicalSubject(subject), "latest", { withDeleted: false })?.id,
  };
}

function glueSchemas(settings: Settings): SchemaSource {
  const { registryExternalRegion: region, registryExternalEndpoint: endpoint } = settings;
  const registry = new GlueRegistry({
    region: region === "" ? null : region,
    endpoint: endpoint === "" ? null : endpoint,
    registryName: settings.registryExternalName,
    requestMsMax: settings.registryExternalRequestMsMax,
    attemptsMax: settings.registryExternalAttemptsMax,
    schemasMax: settings.registryExternalSchemasMax,
  });
  return {
    schemaById: async (id) => {
      const found = await registry.schemaById(String(id));
      return found === undefined ? undefined : schemaText({ ...found, resolved: [], references: [] });
    },
    latestId: (subject) => registry.latestId(subject),
  };
}

function externalSchemas(settings: Settings, { clock, random }: Runtime): SchemaSource {
  const file = (path: string): string | undefined => (path === "" ? undefined : readFileSync(path, "utf8"));
  const registry = new ExternalRegistry({
    urls: settings.registryExternalUrls,
    authorization: authorizationOf(settings),
    get: httpGetter({
      ca: file(settings.registryExternalCaFile),
      certificate: file(settings.registryExternalCertificateFile),
      key: file(settings.registryExternalKeyFile),
    }),
    clock,
    random,
    limits: {
      requestMsMax: settings.registryExternalRequestMsMax,
      schemasMax: settings.registryExternalSchemasMax,
      attemptsMax: settings.registryExternalAttemptsMax,
      delayMsMin: retryMsMin,
      delayMsMax: retryMsMax,
    },
  });
  return {
    schemaById: async (id, subject) => {
      const found = await registry.schemaById(id, subject);
      return found === undefined ? undefined : schemaText({ ...found, references: [] });
    },
    latestId: (subject) => registry.latestId(subject),
  };
}

/** Between attempts: servers that restart are away for longer than the first, and a table's turn must not last minutes. */
const retryMsMin = 100;
const retryMsMax = 2000;

function authorizationOf(settings: Settings): string | undefined {
  const { registryExternalToken: token, registryExternalUsername: name, registryExternalPassword: password } = settings;
  if (token !== "") return `Bearer ${token}`;
  if (name === "") return undefined;
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}

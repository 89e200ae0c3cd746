/** What a REST catalog says of itself at /v1/config, and the paths that follow from it. Pure. */
import { isJsonObject, type JsonObject, renderJson } from "../src/table/iceberg/json.ts";

export interface RestConfig {
  /** Of the server, without /v1. */
  readonly uri: string;
  /** Everything before "/namespaces". */
  readonly base: string;
  readonly separator: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly takesIdempotencyKeys: boolean;
  offers(endpoint: Endpoint): boolean;
}

/** As the specification writes them in the list of endpoints. */
export type Endpoint = keyof typeof isAssumed;

/** Whether a catalog that lists no endpoints has it. Java's client takes transactions for granted too; we want to be told. */
const isAssumed = {
  "GET /v1/{prefix}/namespaces/{namespace}": true,
  "POST /v1/{prefix}/namespaces": true,
  "POST /v1/{prefix}/namespaces/{namespace}/tables": true,
  "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}": true,
  "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}": true,
  "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials": false,
  "POST /v1/{prefix}/transactions/commit": false,
} as const;

/** Rule J7: the server's defaults, our own properties over them, the server's overrides over all. */
export function restConfig(
  answer: JsonObject,
  ours: {
    readonly uri: string;
    readonly properties: ReadonlyMap<string, string>;
    readonly accessDelegation: string | null;
  },
): RestConfig {
  const objectAt = (name: string) => (isJsonObject(answer[name]) ? answer[name] : {});
  const merged: JsonObject = {
    ...objectAt("defaults"),
    ...Object.fromEntries(ours.properties),
    ...objectAt("overrides"),
  };
  const prefix = typeof merged["prefix"] === "string" ? merged["prefix"] : "";
  const uri = withoutSlash(typeof merged["uri"] === "string" ? merged["uri"] : ours.uri);
  const delegation = ours.accessDelegation === null ? {} : { "x-iceberg-access-delegation": ours.accessDelegation };
  const separator = merged["namespace-separator"];
  const listed = Array.isArray(answer["endpoints"]) ? new Set(answer["endpoints"].map(normalized)) : undefined;
  return {
    uri,
    base: `${uri}/v1${prefix === "" ? "" : `/${prefix}`}`,
    separator: typeof separator === "string" ? separator : "%1F",
    headers: { ...headersOf(merged), ...delegation },
    takesIdempotencyKeys: answer["idempotency-key-lifetime"] !== undefined,
    offers: (endpoint) => listed?.has(normalized(endpoint)) ?? isAssumed[endpoint],
  };
}

export function namespacePath(config: RestConfig, namespace: readonly string[]): string {
  return `${config.base}/namespaces/${namespace.map(encodeURIComponent).join(config.separator)}`;
}

export function tablePath(
  config: RestConfig,
  table: { readonly namespace: readonly string[]; readonly name: string },
): string {
  return `${namespacePath(config, table.namespace)}/tables/${encodeURIComponent(table.name)}`;
}

export function withoutSlash(uri: string): string {
  return uri.replace(/\/+$/, "");
}

/** Servers name the parts of a path as they like. */
function normalized(endpoint: unknown): string {
  return String(endpoint).replaceAll(/\{[^}]*\}/g, "{}");
}

function headersOf(config: JsonObject): Readonly<Record<string, string>> {
  const named = Object.entries(config).filter(([name]) => name.startsWith("header."));
  return Object.fromEntries(
    named.map(([name, value]) => [
      name.slice("header.".length),
      typeof value === "string" ? value : renderJson(value ?? null),
    ]),
  );
}

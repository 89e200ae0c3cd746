/** What must hold within one catalog's block, and of the names of its tables. Pure: settings in, problems out. */
import type { AwsCredentials } from "../../catalogs/aws.ts";
import { isGlueName, isHiveName } from "../../catalogs/hive-names.ts";
import type { RestAuth } from "../../catalogs/rest-auth.ts";
import { tableBucket } from "../../catalogs/s3tables.ts";
import { isSqlUri } from "../../catalogs/sql-database.ts";
import type { CatalogSettings } from "./catalogs.ts";

/** A problem at a path below the catalog's own. */
export interface CatalogProblem {
  readonly path: readonly string[];
  readonly message: string;
  readonly fix: string;
}

/** `isSaid` tells what stands in the file from what has its default. */
export function catalogProblems(
  name: string,
  catalog: CatalogSettings,
  isSaid: (path: readonly string[]) => boolean,
): readonly CatalogProblem[] {
  const at = `lake.catalogs.${name}`;
  switch (catalog.type) {
    case "embedded":
      return [];
    case "rest":
      return restProblems(at, catalog, isSaid);
    case "jdbc":
      return [...jdbcProblems(at, catalog), ...placeProblems(at, catalog.warehouse)];
    case "glue":
      return [
        ...urlProblems(at, "endpoint", catalog.endpoint),
        ...credentialProblems(at, catalog.credentials, isSaid),
        ...placeProblems(at, catalog.warehouse),
      ];
    case "s3tables":
      return [
        ...s3TablesProblems(at, catalog.arn),
        ...urlProblems(at, "endpoint", catalog.endpoint),
        ...credentialProblems(at, catalog.credentials, isSaid),
      ];
    case "hms":
      return [...hmsProblems(at, catalog, isSaid), ...placeProblems(at, catalog.warehouse)];
  }
}

type Rest = Extract<CatalogSettings, { readonly type: "rest" }>;

function restProblems(at: string, catalog: Rest, isSaid: (path: readonly string[]) => boolean): CatalogProblem[] {
  const problems: CatalogProblem[] = [];
  if (catalog.uri !== "" && !isHttpUrl(catalog.uri))
    problems.push({
      path: ["uri"],
      message: `${at}.uri must be an http or https URL`,
      fix: "write http://host:8181",
    });
  return [...problems, ...authProblems(`${at}.auth`, catalog.auth, (key) => isSaid(["auth", ...key]))];
}

/** `isSaid` of a path below auth. */
function authProblems(
  at: string,
  auth: RestAuth,
  isSaid: (path: readonly string[]) => boolean,
): readonly CatalogProblem[] {
  const said = ["token", "oauth2", "sigv4"].filter((key) => isSaid([key]));
  if (said.length > 1)
    return [{ path: ["auth"], message: `${at} has both ${said.join(" and ")}`, fix: "keep one of them" }];
  const needsOauth2 = auth.kind !== "oauth2" || auth.clientSecret === "" || !isHttpUrl(auth.tokenUri);
  if (isSaid(["oauth2"]) && needsOauth2)
    return [
      {
        path: ["auth", "oauth2"],
        message: `${at}.oauth2 needs token_uri (an http or https URL), client_id and client_secret`,
        fix: "say all three, the secret best as ${env:NAME} or ${file:/path}",
      },
    ];
  if (!isSaid(["sigv4"])) return [];
  if (auth.kind !== "sigv4" || auth.service === "" || auth.region === "")
    return [
      { path: ["auth", "sigv4"], message: `${at}.sigv4 needs service and region`, fix: "say glue and its region" },
    ];
  return credentialProblems(`${at}.sigv4`, auth.credentials, (path) => isSaid(["sigv4", ...path])).map((problem) => ({
    ...problem,
    path: ["auth", "sigv4", ...problem.path],
  }));
}

function jdbcProblems(at: string, { uri }: { readonly uri: string }): readonly CatalogProblem[] {
  if (uri === "" || isSqlUri(uri)) return []; // Empty: it was missing, and that was said.
  const fix = "write postgres://user:password@host:5432/database, or sqlite:/path/of/the/file";
  return [{ path: ["uri"], message: `${at}.uri names no database that this catalog can open`, fix }];
}

function hmsProblems(
  at: string,
  { addresses }: { readonly addresses: readonly unknown[] },
  isSaid: (path: readonly string[]) => boolean,
): readonly CatalogProblem[] {
  if (addresses.length > 0 || !isSaid(["uri"])) return [];
  const message = `${at}.uri must say where the metastore listens`;
  return [{ path: ["uri"], message, fix: "write thrift://host:9083, several joined by commas" }];
}

function s3TablesProblems(at: string, arn: string): readonly CatalogProblem[] {
  if (arn === "" || tableBucket(arn) !== undefined) return []; // Empty: it was missing, and that was said.
  const fix = "write arn:aws:s3tables:region:account:bucket/name";
  return [{ path: ["arn"], message: `${at}.arn must be the ARN of a table bucket`, fix }];
}

function urlProblems(at: string, key: string, url: string | null): readonly CatalogProblem[] {
  if (url === null || isHttpUrl(url)) return [];
  return [{ path: [key], message: `${at}.${key} must be an http or https URL`, fix: "write https://host" }];
}

function credentialProblems(
  at: string,
  credentials: AwsCredentials,
  isSaid: (path: readonly string[]) => boolean,
): readonly CatalogProblem[] {
  const path = ["credentials"];
  const [profile, access, secret, token] = ["profile", "access_key", "secret_key", "session_token"].map((key) =>
    isSaid([...path, key]),
  );
  const hasKeys = access || secret || token;
  if (profile && hasKeys)
    return [{ path, message: `${at}.credentials has both a profile and keys`, fix: "keep one of them" }];
  if (!hasKeys || credentials.kind === "static") return [];
  const fix = "say both, the secret best as ${env:NAME} or ${file:/path}";
  return [{ path, message: `${at}.credentials needs both access_key and secret_key`, fix }];
}

/** Why the catalog cannot hold a table of this name; undefined: it can. The generation of a recreated topic comes after it. */
export function nameProblem(
  catalog: CatalogSettings | undefined,
  namespace: readonly string[],
  table: string,
): { readonly message: string; readonly fix: string } | undefined {
  if (catalog === undefined || !hasPlainNames(catalog)) return undefined;
  const isName = catalog.type === "hms" ? isHiveName : isGlueName;
  const full = [...namespace, table].join(".");
  if (namespace.length === 1 && isName(namespace[0] ?? "") && isName(table)) return undefined;
  const rule = "one database and a table of lower-case letters, digits and underscores";
  const plain = full.toLowerCase().replaceAll(/[^a-z0-9_.]/g, "_");
  const last = plain.lastIndexOf(".");
  const suggested = `${plain.slice(0, last).replaceAll(".", "_")}${plain.slice(last)}`;
  return {
    message: `${catalog.type === "glue" ? "a glue" : `an ${catalog.type}`} catalog holds ${rule}, not ${full}`,
    fix: `write ${suggested}`,
  };
}

/** Its names are in lower case, on one level. */
export function hasPlainNames(catalog: CatalogSettings | undefined): boolean {
  return catalog?.type === "glue" || catalog?.type === "hms" || catalog?.type === "s3tables";
}

function placeProblems(at: string, warehouse: string | null): readonly CatalogProblem[] {
  if (warehouse === null || /^(s3|gs|az|abfss):\/\/[^/]/.test(warehouse)) return [];
  const fix = "write s3://bucket/path, or leave it out for the broker's own (catalog.warehouse)";
  return [{ path: ["warehouse"], message: `${at}.warehouse must be the URI of a place in a bucket`, fix }];
}

export function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^/]/.test(text);
}

/** What must hold within one catalog's block, and of the names of its tables. Pure: settings in, problems out. */
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
  const { auth } = catalog;
  if (!isSaid(["auth", "oauth2"])) return problems;
  if (isSaid(["auth", "token"]))
    problems.push({ path: ["auth"], message: `${at}.auth has both a token and oauth2`, fix: "keep one of them" });
  else if (auth.kind !== "oauth2" || auth.clientSecret === "" || !isHttpUrl(auth.tokenUri))
    problems.push({
      path: ["auth", "oauth2"],
      message: `${at}.auth.oauth2 needs token_uri (an http or https URL), client_id and client_secret`,
      fix: "say all three, the secret best as ${env:NAME} or ${file:/path}",
    });
  return problems;
}

function jdbcProblems(at: string, { uri }: { readonly uri: string }): readonly CatalogProblem[] {
  if (uri === "" || isSqlUri(uri)) return []; // Empty: it was missing, and that was said.
  const fix = "write postgres://user:password@host:5432/database, or sqlite:/path/of/the/file";
  return [{ path: ["uri"], message: `${at}.uri names no database that this catalog can open`, fix }];
}

function placeProblems(at: string, warehouse: string | null): readonly CatalogProblem[] {
  if (warehouse === null || /^(s3|gs|az|abfss):\/\/[^/]/.test(warehouse)) return [];
  const fix = "write s3://bucket/path, or leave it out for the broker's own (catalog.warehouse)";
  return [{ path: ["warehouse"], message: `${at}.warehouse must be the URI of a place in a bucket`, fix }];
}

export function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^/]/.test(text);
}

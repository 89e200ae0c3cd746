/** What a postgres:// URL says. Pure. */
import type { ConnectionOptions } from "node:tls";
import { OperationFailed } from "../base/errors.ts";

export interface PostgresAddress {
  /** Of the log, for errors and logs: host and database, no credentials. */
  readonly name: string;
  /** Several clusters may share a database. */
  readonly cluster: string;
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly user?: string;
    readonly password?: string;
    readonly ssl: false | ConnectionOptions;
  };
}

/** PostgreSQL's registered port. */
const defaultPort = 5432;
const parameters = ["cluster", "sslmode"];

export function isPostgresUrl(url: string): boolean {
  return /^postgres(ql)?:\/\//.test(url);
}

/** Throws OperationFailed, without a word of the URL in it. */
export function postgresAddress(text: string): PostgresAddress {
  const url = isPostgresUrl(text) ? URL.parse(text) : null;
  const database = decodeURIComponent(url?.pathname.slice(1) ?? "");
  if (url === null || url.hostname === "" || database === "")
    throw refused("a metadata URL for PostgreSQL is postgres://user:password@host:port/database");
  const query = url.searchParams;
  const unknown = [...query.keys()].filter((name) => !parameters.includes(name));
  if (unknown.length > 0) throw refused(`unknown parameters in the metadata URL: ${unknown.join(", ")}`);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1"); // IPv6
  const port = url.port === "" ? defaultPort : Number(url.port);
  return {
    name: `metadata log in postgres://${url.hostname}:${port}/${database}`,
    cluster: query.get("cluster") ?? "inlet",
    connection: {
      host,
      port,
      database,
      ...(url.username === "" ? {} : { user: decodeURIComponent(url.username) }),
      ...(url.password === "" ? {} : { password: decodeURIComponent(url.password) }),
      ssl: tls(query.get("sslmode") ?? (isLoopback(host) ? "disable" : "verify-full")),
    },
  };
}

/** libpq's words, of which we take those whose answer does not depend on what the server says. */
function tls(mode: string): false | ConnectionOptions {
  if (mode === "disable") return false;
  if (mode === "require") return { rejectUnauthorized: false };
  if (mode === "verify-full") return { rejectUnauthorized: true };
  throw refused("sslmode of the metadata URL is disable, require or verify-full");
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function refused(message: string): OperationFailed {
  return new OperationFailed(message, { happened: "no" });
}

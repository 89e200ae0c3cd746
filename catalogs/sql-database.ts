/** The little of a SQL database that the JDBC catalog needs. Parameters are `?`, values are text. */
import type { Clock } from "../src/base/runtime.ts";
import type { Logger } from "../src/base/telemetry.ts";

export type Row = Readonly<Record<string, unknown>>;

export interface SqlDatabase extends AsyncDisposable {
  query(sql: string, values?: readonly string[]): Promise<readonly Row[]>;
  /**
   * One statement, which is one transaction; the number of rows that it changed. Throws OperationFailed, "maybe" when its
   * answer was lost. Never repeated.
   */
  change(sql: string, values?: readonly string[]): Promise<number>;
}

export interface SqlDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly requestMsMax: number;
}

/** Whether the URI names a database that we can open. */
export function isSqlUri(uri: string): boolean {
  return /^postgres(ql)?:\/\/[^/]/.test(uri) || sqlitePath(uri) !== undefined;
}

/** Of "sqlite:/path", as SQLAlchemy ("sqlite:////path") and JDBC ("jdbc:sqlite:/path") write it too. */
export function sqlitePath(uri: string): string | undefined {
  return /^(?:jdbc:)?sqlite:(?:\/\/)?\/*(\/.+)$/.exec(uri)?.[1];
}

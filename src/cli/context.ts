import type { Readable } from "node:stream";
import type { AccessOptions } from "./broker-access.ts";
import type { Format, Terminal } from "./output.ts";

/** What every command is given. Options of the program are read when a command runs, so these are getters there. */
export interface Context {
  readonly terminal: Terminal;
  readonly input: Readable;
  readonly format: Format;
  /** host:port of Kafka listeners, joined by commas. */
  readonly brokers: string;
  /** How they let a client in. */
  readonly access: AccessOptions;
  /** Base URL of the admin API. */
  readonly admin: string;
  /** What the admin API wants to be shown; undefined where it wants nothing. */
  readonly adminToken: string | undefined;
  /** For what has something to end: aborts at the first SIGINT or SIGTERM from now on. Until it is asked for, they end the process at once. */
  graceful(): AbortSignal;
  /** Short, and not given twice. */
  randomId(): string;
}

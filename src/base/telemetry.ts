/** Counters, gauges and histograms. The one place where their names, labels and help texts stand is the table that
 *  `metrics-table.ts` declares; code gets typed handles from there. */

export interface Counter {
  add(amount: number, labels?: Labels): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
}

export interface Histogram {
  /** In the unit that the metric's name ends with. */
  observe(value: number, labels?: Labels): void;
}

export type Labels = Readonly<Record<string, string>>;

/** Structured logging. Levels as pino's; fields never hold secrets. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  child(fields: Readonly<Record<string, unknown>>): Logger;
}

/** For commands: what is wrong is their answer, not a line in a log. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLogger };

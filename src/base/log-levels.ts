/** From which level on each component's lines are logged. Can be changed while the process runs. */

/** Least severe first. Nothing is ever logged as fatal: at that level all is silent. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];

/** The parts of a broker whose levels can be set; a line says its own in the field `component`. */
export const logComponents = ["coordinator", "log", "metadata", "server", "stream", "table"] as const;
export type LogComponent = (typeof logComponents)[number];

export class LogLevels {
  /** Of every component that has none of its own. */
  root: LogLevel;
  readonly #own = new Map<string, LogLevel>();

  constructor(root: LogLevel) {
    this.root = root;
  }

  of(component: unknown): LogLevel {
    return (typeof component === "string" ? this.#own.get(component) : undefined) ?? this.root;
  }

  /** undefined: that of the root again. */
  set(component: LogComponent, level: LogLevel | undefined): void {
    if (level === undefined) this.#own.delete(component);
    else this.#own.set(component, level);
  }

  isLogged(component: unknown, level: LogLevel): boolean {
    return logLevels.indexOf(level) >= logLevels.indexOf(this.of(component));
  }
}

/** Of the setting logging.level. */
export function logLevelOf(setting: string): LogLevel {
  return logLevels.find((level) => level === setting) ?? "fatal"; // Which is what "silent" comes to.
}

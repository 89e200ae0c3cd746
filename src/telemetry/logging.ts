/** JSON lines through pino: levels, secrets masked, and a repeated line counted instead of written again and again. */
import { type DestinationStream, pino } from "pino";
import type { LogLevels } from "../base/log-levels.ts";
import type { Clock } from "../base/runtime.ts";
import { secretMask, withoutSecrets } from "../base/secrets.ts";
import type { Logger } from "../base/telemetry.ts";

export interface LoggingOptions {
  readonly levels: LogLevels;
  /** Lines of one level and message in each window; the rest is counted in the next line instead. */
  readonly repeatsMax: number;
  readonly repeatsMs: number;
  readonly clock: Clock;
  /** Standard output when left out. */
  readonly destination?: DestinationStream;
}

type Level = "debug" | "info" | "warn" | "error";
type LogFields = Readonly<Record<string, unknown>>;

export function openLogger(options: LoggingOptions): Logger {
  const settings = {
    level: "debug", // What is not to be logged does not come as far.
    base: null,
    messageKey: "message",
    timestamp: () => `,"time":${options.clock.now()}`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const lines = options.destination === undefined ? pino(settings) : pino(settings, options.destination);
  const repeats = new Repeats(options);
  return loggerOver((level, fields, message) => {
    if (!options.levels.isLogged(fields["component"], level)) return;
    const admitted = fields["log"] === "audit" ? audited : repeats.admit(`${level} ${message}`);
    if (admitted.kind === "held") return;
    const held = admitted.held === 0 ? {} : { repeatsHeld: admitted.held };
    lines[level]({ ...(masked(fields, 0) as object), ...held }, message);
  }, {});
}

/** Each line of the audit log is of somebody else, although the message is the same: what bounds them is who writes them. */
const audited = { kind: "line", held: 0 } as const;

function loggerOver(write: (level: Level, fields: LogFields, message: string) => void, bound: LogFields): Logger {
  const at =
    (level: Level) =>
    (message: string, fields: LogFields = {}): void =>
      write(level, { ...bound, ...fields }, message);
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => loggerOver(write, { ...bound, ...fields }),
  };
}

/** Distinct messages watched at a time. Past it the oldest is forgotten: its lines may then repeat. */
const messagesMax = 1000;

class Repeats {
  readonly #options: LoggingOptions;
  readonly #windows = new Map<string, { start: number; lines: number; held: number }>();

  constructor(options: LoggingOptions) {
    this.#options = options;
  }

  admit(message: string): { readonly kind: "held" } | { readonly kind: "line"; readonly held: number } {
    const now = this.#options.clock.monotonic();
    const window = this.#windows.get(message);
    if (window === undefined || now - window.start >= this.#options.repeatsMs) {
      this.#windows.delete(message); // So that it becomes the newest.
      this.#windows.set(message, { start: now, lines: 1, held: 0 });
      if (this.#windows.size > messagesMax) this.#windows.delete(this.#windows.keys().next().value as string);
      return { kind: "line", held: window?.held ?? 0 };
    }
    if (window.lines >= this.#options.repeatsMax) {
      window.held += 1;
      return { kind: "held" };
    }
    window.lines += 1;
    return { kind: "line", held: 0 };
  }
}

/** Words in a field's name that make its value a secret. */
const secretName = /pass(word|phrase)?$|secret|token|credential|authorization|access.?key|private.?key|^cookie$/i;
const depthMax = 5;
/** Longer ones come from elsewhere: names of users, before anybody has shown a password. */
const textLengthMax = 16_384;

/** A copy for the log: secrets masked, errors as plain data with their causes, bytes as their length. */
function masked(value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return shortened(withoutSecrets(value));
  if (typeof value !== "object" || value === null) return value;
  if (depth >= depthMax) return "[deeper]";
  if (value instanceof Error) {
    const { cause, ...rest } = value as Error & Record<string, unknown>;
    const plain = { ...rest, name: value.name, message: value.message, stack: value.stack };
    return masked(cause === undefined ? plain : { ...plain, cause }, depth);
  }
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((each) => masked(each, depth + 1));
  const entries = value instanceof Map ? [...(value as Map<unknown, unknown>)] : Object.entries(value);
  return Object.fromEntries(
    entries.map(([key, each]) => [
      String(key),
      secretName.test(String(key)) && typeof each !== "number" ? secretMask : masked(each, depth + 1),
    ]),
  );
}

function shortened(text: string): string {
  return text.length <= textLengthMax ? text : `${text.slice(0, textLengthMax)}… (${text.length} characters)`;
}

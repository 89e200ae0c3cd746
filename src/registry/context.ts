/**
 * Contexts: registries beside each other in one, each with subjects and ids of its own.
 *
 *   orders-value          a subject of the default context, "."
 *   :.team:orders-value   a subject of the context ".team"
 *   :.team:               the context itself, for a mode or a level that all its subjects have
 *   :.__GLOBAL:           all contexts, for the same
 */

export const defaultContext = ".";
const globalScope = ":.__GLOBAL:";

export interface Qualified {
  readonly context: string;
  /** Without its context. */
  readonly name: string;
}

export function qualified(subject: string): Qualified {
  if (!subject.startsWith(":.")) return { context: defaultContext, name: subject };
  const end = subject.indexOf(":", 2);
  if (end < 0) return { context: subject.slice(1), name: "" };
  return { context: subject.slice(1, end), name: subject.slice(end + 1) };
}

export function contextOf(subject: string): string {
  return qualified(subject).context;
}

/** Comes before a subject's name. */
export function contextPrefix(context: string): string {
  return context === defaultContext ? "" : `:${context}:`;
}

/** A subject has one name: ":.:s" is "s", and ":.team" is ":.team:". */
export function canonicalSubject(subject: string): string {
  const { context, name } = qualified(subject);
  return contextPrefix(context) + name;
}

/** A name that is said inside a context is that context's, unless it says otherwise. */
export function withinContext(context: string, subject: string): string {
  return canonicalSubject(subject.startsWith(":.") ? subject : contextPrefix(context) + subject);
}

/** Where a setting of the subject is looked for, the nearest first; null stands for the default context. */
export function scopesOf(subject: string | null): readonly (string | null)[] {
  const context = contextOf(subject ?? "");
  const above = context === defaultContext ? null : contextPrefix(context);
  return [...new Set([subject, above, globalScope])];
}

export function isValidSubject(subject: string, options: { readonly isScope: boolean }): boolean {
  const { name } = qualified(subject);
  if (/\p{Cc}/u.test(subject) || name === "__GLOBAL" || name === "__EMPTY") return false;
  return options.isScope || !(subject.startsWith(globalScope) || name === "");
}

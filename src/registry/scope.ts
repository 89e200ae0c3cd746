/** Settings of a subject, of its context, of all contexts: which of them counts. */
import type { CompatibilityLevel } from "./compatibility.ts";
import { contextOf, contextPrefix, qualified, scopesOf } from "./context.ts";
import type { Mode } from "./registry-record.ts";
import type { SubjectConfig } from "./subject-config.ts";
import type { Subjects } from "./subjects.ts";

export type ConfigInScope = SubjectConfig & { readonly compatibilityLevel: CompatibilityLevel };

/** What is set for the subject, over what is set nearest above it. */
export function configInScope(
  subjects: Subjects,
  subject: string | null,
  compatibilityLevel: CompatibilityLevel,
): ConfigInScope {
  const [own, ...above] = scopesOf(subject).map((scope) => subjects.config(scope));
  return { compatibilityLevel, ...above.find((config) => config !== undefined), ...own };
}

export function modeInScope(subjects: Subjects, subject: string | null): Mode {
  const modes = scopesOf(subject).map((scope) => subjects.mode(scope));
  if (modes.includes("READONLY_OVERRIDE")) return "READONLY_OVERRIDE";
  return modes.find((mode) => mode !== undefined) ?? "READWRITE";
}

/** Whether it is the scope itself, or a subject of the context that the scope is; null is the default context. */
export function isBelow(subject: string | null, scope: string | null): boolean {
  if (subject === scope || subject === null) return subject === scope;
  const { context } = qualified(scope ?? "");
  return contextOf(subject) === context && (scope === null || scope === contextPrefix(context));
}

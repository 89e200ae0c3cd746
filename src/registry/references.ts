/** What a schema refers to: versions of other subjects, which may refer to more. */
import { contextOf, withinContext } from "./context.ts";
import { refusals } from "./refused.ts";
import type { Reference, SubjectVersion } from "./schema-content.ts";
import type { ResolvedReference } from "./schema-format.ts";
import type { Subjects } from "./subjects.ts";

/** Depth of references of references. */
const referenceDepthMax = 50;

/** In requests, and -1 is "latest". */
const latest = -1;

/**
 * Each after those that it uses itself, no name twice: the first that has it stands. `context` is of who refers, and what is found refers from its own. A strict
 * reading takes no version that is deleted, and no two of one name. Throws RegistryRefused.
 */
export function resolveReferences(
  subjects: Subjects,
  context: string,
  references: readonly Reference[],
  { isStrict }: { readonly isStrict: boolean },
): readonly ResolvedReference[] {
  const visited = new Map<string, number>();
  const resolved: ResolvedReference[] = [];
  const visit = (list: readonly Reference[], from: string, depth: number): void => {
    if (depth > referenceDepthMax) throw refusals.invalidSchema(`references are deeper than ${referenceDepthMax}`);
    for (const reference of list) {
      const { name, version } = reference;
      const before = visited.get(name);
      if (isStrict && before !== undefined && before !== version)
        throw refusals.invalidSchema(`Conflicting reference versions for "${name}": ${before} and ${version}`);
      if (before !== undefined) continue;
      visited.set(name, version);
      const found = referredTo(subjects, from, reference, { withDeleted: !isStrict });
      visit(found.references, contextOf(found.subject), depth + 1);
      resolved.push({ name, schema: found.schema });
    }
  };
  visit(references, context, 0);
  return resolved;
}

/** With the versions that "latest" stands for now. Throws RegistryRefused. */
export function pinnedReferences(
  subjects: Subjects,
  context: string,
  references: readonly Reference[],
): readonly Reference[] {
  return references.map((reference) =>
    reference.version === latest
      ? { ...reference, version: referredTo(subjects, context, reference, { withDeleted: false }).version }
      : reference,
  );
}

/** A deleted version still serves those that refer to it already. */
function referredTo(
  subjects: Subjects,
  context: string,
  { subject, version }: Reference,
  options: { readonly withDeleted: boolean },
): SubjectVersion {
  const found = subjects.version(withinContext(context, subject), version === latest ? "latest" : version, options);
  if (found === undefined)
    throw refusals.invalidSchema(`no schema reference found for subject "${subject}" and version ${version}`);
  return found;
}

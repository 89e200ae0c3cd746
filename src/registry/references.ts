/** What a schema refers to: versions of other subjects, which may refer to more. */
import { withinContext } from "./context.ts";
import { refusals } from "./refused.ts";
import type { Reference, SubjectVersion } from "./schema-content.ts";
import type { ResolvedReference } from "./schema-format.ts";
import type { Subjects } from "./subjects.ts";

/** Depth of references of references. */
const referenceDepthMax = 50;

/** In requests, and -1 is "latest". */
const latest = -1;

/** Each after those that it uses itself, none twice. `context` is of who refers. Throws RegistryRefused. */
export function resolveReferences(
  subjects: Subjects,
  context: string,
  references: readonly Reference[],
): readonly ResolvedReference[] {
  const resolved = new Map<string, ResolvedReference>();
  const visit = (list: readonly Reference[], depth: number): void => {
    if (depth > referenceDepthMax) throw refusals.invalidSchema(`references are deeper than ${referenceDepthMax}`);
    for (const reference of list) {
      const { name, subject, version } = reference;
      if (resolved.has(`${subject} ${version}`)) continue;
      const found = referredTo(subjects, context, reference);
      visit(found.references, depth + 1);
      resolved.set(`${subject} ${version}`, { name, schema: found.schema });
    }
  };
  visit(references, 0);
  return [...resolved.values()];
}

/** With the versions that "latest" stands for now. Throws RegistryRefused. */
export function pinnedReferences(
  subjects: Subjects,
  context: string,
  references: readonly Reference[],
): readonly Reference[] {
  return references.map((reference) =>
    reference.version === latest
      ? { ...reference, version: referredTo(subjects, context, reference).version }
      : reference,
  );
}

/** A deleted version still serves those that refer to it already. */
function referredTo(subjects: Subjects, context: string, { subject, version }: Reference): SubjectVersion {
  const where = withinContext(context, subject);
  const found =
    version === latest
      ? subjects.version(where, "latest", { withDeleted: false })
      : subjects.version(where, version, { withDeleted: true });
  if (found === undefined)
    throw refusals.invalidSchema(`no schema reference found for subject "${subject}" and version ${version}`);
  return found;
}

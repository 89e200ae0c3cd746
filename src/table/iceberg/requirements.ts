/** What a commit demands of the table as it stands. Pure. In the words of the reference, which clients look for. */
import type { SnapshotRef, TableMetadata } from "./metadata.ts";
import type { Requirement } from "./updates.ts";

/** The first requirement that the base does not meet, in words; undefined when all hold. */
export function unmetRequirement(
  base: TableMetadata | undefined,
  requirements: readonly Requirement[],
): string | undefined {
  for (const requirement of requirements) {
    const unmet = base === undefined ? unmetByNothing(requirement) : unmetBy(base, requirement);
    if (unmet !== undefined) return `Requirement failed: ${unmet}`;
  }
  return undefined;
}

/** Requirements of a table that does not exist: null may be demanded of a ref, a value of nothing. */
function unmetByNothing(requirement: Requirement): string | undefined {
  if (requirement.type === "assert-create") return undefined;
  if (requirement.type === "assert-ref-snapshot-id" && requirement["snapshot-id"] === null) return undefined;
  return `${requirement.type}: the table does not exist`;
}

function unmetBy(base: TableMetadata, requirement: Requirement): string | undefined {
  switch (requirement.type) {
    case "assert-create":
      return "table already exists";
    case "assert-table-uuid":
      return differs("UUID does not match: expected", requirement.uuid.toLowerCase(), base["table-uuid"].toLowerCase());
    case "assert-ref-snapshot-id":
      return unmetRef(requirement.ref, requirement["snapshot-id"], refOf(base, requirement.ref));
    case "assert-last-assigned-field-id":
      return changed("last assigned field id", requirement["last-assigned-field-id"], base["last-column-id"]);
    case "assert-current-schema-id":
      return changed("current schema", requirement["current-schema-id"], base["current-schema-id"]);
    case "assert-last-assigned-partition-id":
      return changed(
        "last assigned partition id",
        requirement["last-assigned-partition-id"],
        base["last-partition-id"],
      );
    case "assert-default-spec-id":
      return changed("default partition spec", requirement["default-spec-id"], base["default-spec-id"]);
    case "assert-default-sort-order-id":
      return changed("default sort order", requirement["default-sort-order-id"], base["default-sort-order-id"]);
  }
}

function refOf({ refs }: TableMetadata, name: string): SnapshotRef | undefined {
  return Object.hasOwn(refs, name) ? refs[name] : undefined;
}

function unmetRef(name: string, expected: bigint | null, ref: SnapshotRef | undefined): string | undefined {
  if (ref === undefined)
    return expected === null ? undefined : `branch or tag ${name} is missing, expected ${expected}`;
  if (expected === null) return `${ref.type} ${name} was created concurrently`;
  return differs(`${ref.type} ${name} has changed: expected id`, expected, ref["snapshot-id"]);
}

function changed(what: string, expected: number, found: number): string | undefined {
  return differs(`${what} changed: expected id`, expected, found);
}

function differs<T>(what: string, expected: T, found: T): string | undefined {
  return expected === found ? undefined : `${what} ${String(expected)} != ${String(found)}`;
}

/** What a commit demands of the table as it stands. Pure. */
import type { TableMetadata } from "./metadata.ts";
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
      return differs("UUID", requirement.uuid.toLowerCase(), base["table-uuid"].toLowerCase());
    case "assert-ref-snapshot-id": {
      const found = base.refs[requirement.ref]?.["snapshot-id"] ?? null;
      return differs(`branch or tag ${requirement.ref}`, requirement["snapshot-id"], found);
    }
    case "assert-last-assigned-field-id":
      return differs("last assigned field id", requirement["last-assigned-field-id"], base["last-column-id"]);
    case "assert-current-schema-id":
      return differs("current schema id", requirement["current-schema-id"], base["current-schema-id"]);
    case "assert-last-assigned-partition-id":
      return differs(
        "last assigned partition id",
        requirement["last-assigned-partition-id"],
        base["last-partition-id"],
      );
    case "assert-default-spec-id":
      return differs("default partition spec id", requirement["default-spec-id"], base["default-spec-id"]);
    case "assert-default-sort-order-id":
      return differs("default sort order id", requirement["default-sort-order-id"], base["default-sort-order-id"]);
  }
}

function differs<T>(what: string, expected: T, found: T): string | undefined {
  return expected === found ? undefined : `${what} has changed: expected ${String(expected)}, found ${String(found)}`;
}

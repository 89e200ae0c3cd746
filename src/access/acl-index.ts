/**
 * Whether a set of ACLs allows an operation: the rules of Kafka's StandardAuthorizer. Pure.
 *
 *   topic ─▶ literal   name ─▶ entries        a lookup by the name, one by "*",
 *            prefixed  prefix ─▶ entries      one a length that some prefix has
 */
import { type Acl, everyUser, operations, patternTypes, permissions, wildcard } from "./acl.ts";

/** Who asks, for an ACL. */
export interface Asker {
  /** `User:alice` */
  readonly principal: string;
  /** An address, IPv4 ones in their own form. */
  readonly host: string;
}

export type Verdict =
  | { readonly isAllowed: boolean; readonly by: Acl }
  /** No entry decided: "none-for-asker" when the resource has entries, "none" when it has not. */
  | { readonly isAllowed: boolean; readonly by: "none-for-asker" | "none" };

interface Section {
  readonly literal: Map<string, Acl[]>;
  readonly prefixed: Map<string, Acl[]>;
  /** Of all prefixes, ascending. */
  lengths: number[];
}

const describers: ReadonlySet<number> = new Set([
  operations.describe,
  operations.read,
  operations.write,
  operations.delete,
  operations.alter,
]);

export class AclIndex {
  readonly #sections = new Map<number, Section>();
  readonly #allowsWithoutAcl: boolean;

  constructor(acls: Iterable<Acl>, options: { readonly allowsWithoutAcl: boolean }) {
    this.#allowsWithoutAcl = options.allowsWithoutAcl;
    for (const acl of acls) this.#add(acl);
    for (const section of this.#sections.values()) {
      section.lengths = [...new Set(Array.from(section.prefixed.keys(), (prefix) => prefix.length))].sort(
        (a, b) => a - b,
      );
    }
  }

  authorize(asker: Asker, operation: number, resourceType: number, name: string): Verdict {
    let allowing: Acl | undefined;
    let isMentioned = false;
    for (const entries of this.#entriesFor(resourceType, name)) {
      isMentioned = true;
      for (const acl of entries) {
        if (!isAsker(acl, asker)) continue;
        if (acl.permissionType === permissions.deny) {
          if (acl.operation === operation || acl.operation === operations.all) return { isAllowed: false, by: acl };
        } else if (allowing === undefined && allowsOperation(acl.operation, operation)) allowing = acl;
      }
    }
    if (allowing !== undefined) return { isAllowed: true, by: allowing };
    return isMentioned ? { isAllowed: false, by: "none-for-asker" } : { isAllowed: this.#allowsWithoutAcl, by: "none" };
  }

  /** Whether there is a resource of this type, though it may not exist, for which nothing denies what something allows. */
  authorizesSome(asker: Asker, operation: number, resourceType: number): boolean {
    // As in Kafka, a name that probably nobody has used stands for all that no entry mentions.
    if (this.authorize(asker, operation, resourceType, "hardcode").isAllowed) return true;
    const section = this.#sections.get(resourceType);
    if (section === undefined) return false;
    const has = (entries: readonly Acl[] | undefined, permission: number): boolean =>
      (entries ?? []).some(
        (acl) =>
          acl.permissionType === permission &&
          isAsker(acl, asker) &&
          (acl.operation === operation || acl.operation === operations.all),
      );
    const isDeniedFrom = (name: string): boolean =>
      section.lengths.some(
        (length) => length <= name.length && has(section.prefixed.get(name.slice(0, length)), permissions.deny),
      );
    if (has(section.literal.get(wildcard), permissions.deny)) return false;
    if (has(section.literal.get(wildcard), permissions.allow)) return true;
    for (const [name, entries] of section.literal) {
      if (!has(entries, permissions.allow) || has(entries, permissions.deny)) continue;
      if (!isDeniedFrom(name)) return true;
    }
    for (const [prefix, entries] of section.prefixed) {
      if (has(entries, permissions.allow) && !isDeniedFrom(prefix)) return true;
    }
    return false;
  }

  *#entriesFor(resourceType: number, name: string): Generator<readonly Acl[]> {
    const section = this.#sections.get(resourceType);
    if (section === undefined) return;
    const exact = section.literal.get(name);
    if (exact !== undefined) yield exact;
    const forAll = name === wildcard ? undefined : section.literal.get(wildcard);
    if (forAll !== undefined) yield forAll;
    for (const length of section.lengths) {
      if (length > name.length) break;
      const entries = section.prefixed.get(name.slice(0, length));
      if (entries !== undefined) yield entries;
    }
  }

  #add(acl: Acl): void {
    let section = this.#sections.get(acl.resourceType);
    if (section === undefined) {
      section = { literal: new Map(), prefixed: new Map(), lengths: [] };
      this.#sections.set(acl.resourceType, section);
    }
    const names = acl.patternType === patternTypes.prefixed ? section.prefixed : section.literal;
    const entries = names.get(acl.resourceName);
    if (entries === undefined) names.set(acl.resourceName, [acl]);
    else entries.push(acl);
  }
}

function isAsker(acl: Acl, { principal, host }: Asker): boolean {
  return (acl.principal === principal || acl.principal === everyUser) && (acl.host === wildcard || acl.host === host);
}

/** Only what is allowed implies more: whoever may read may describe, but whoever may not read may still. */
function allowsOperation(allowed: number, asked: number): boolean {
  if (allowed === operations.all || allowed === asked) return true;
  if (asked === operations.describe) return describers.has(allowed);
  return asked === operations.describeConfigs && allowed === operations.alterConfigs;
}

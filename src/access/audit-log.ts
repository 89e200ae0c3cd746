/**
 * The audit log: one line of the broker's log for each denial, for each change of an ACL, and at level debug for what is allowed.
 * Denials are what an attacker can cause, so their rate is bounded; what was left out is counted in the next line. Names are fields of a JSON line, never part of
 * its text: nothing that a client sends makes a second line.
 */
import type { Clock } from "../base/runtime.ts";
import type { Counter, Logger } from "../base/telemetry.ts";
import { type Acl, operations, patternTypes, permissions, resourceTypes, wordFor } from "./acl.ts";
import type { Verdict } from "./acl-index.ts";

export interface AuditLogOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Lines of denials in a second. */
  readonly denialsPerSecondMax: number;
  readonly denials: Counter;
  /** Whether what is allowed is told too, which is a line for each topic of each request. */
  readonly tellsAllowed: () => boolean;
}

/** What was asked for, and what came of it. */
export interface Decision {
  readonly principal: string;
  readonly host: string;
  readonly api: string;
  readonly operation: string;
  readonly kind: string;
  readonly name: string;
  readonly verdict: Verdict | "super-user";
}

export class AuditLog {
  readonly #options: AuditLogOptions;
  #secondSinceMs = Number.NEGATIVE_INFINITY;
  #inSecond = 0;
  #leftOut = 0;

  constructor(options: AuditLogOptions) {
    this.#options = options;
  }

  allowed(decision: Decision): void {
    const { logger, tellsAllowed } = this.#options;
    if (tellsAllowed()) logger.debug("access allowed", fieldsOf(decision));
  }

  denied(decision: Decision): void {
    const { logger, clock, denials, denialsPerSecondMax } = this.#options;
    denials.add(1, { api: decision.api });
    const nowMs = clock.monotonic();
    if (nowMs - this.#secondSinceMs >= 1_000) {
      this.#secondSinceMs = nowMs;
      this.#inSecond = 0;
    }
    if (this.#inSecond >= denialsPerSecondMax) {
      this.#leftOut += 1;
      return;
    }
    this.#inSecond += 1;
    const leftOut = this.#leftOut === 0 ? {} : { leftOut: this.#leftOut };
    this.#leftOut = 0;
    logger.info("access denied", { ...fieldsOf(decision), ...leftOut });
  }

  aclsChanged(
    principal: string,
    host: string,
    change: { readonly added: readonly Acl[]; readonly removed: readonly Acl[] },
  ): void {
    for (const acl of change.added) this.#options.logger.info("ACL added", { principal, host, acl: describeAcl(acl) });
    for (const acl of change.removed)
      this.#options.logger.info("ACL removed", { principal, host, acl: describeAcl(acl) });
  }
}

function fieldsOf({
  principal,
  host,
  api,
  operation,
  kind,
  name,
  verdict,
}: Decision): Readonly<Record<string, unknown>> {
  return { principal, host, api, operation, resource: kind, name, rule: ruleOf(verdict) };
}

function ruleOf(verdict: Decision["verdict"]): string | Readonly<Record<string, string>> {
  if (verdict === "super-user") return verdict;
  return typeof verdict.by === "string" ? verdict.by : describeAcl(verdict.by);
}

function describeAcl(acl: Acl): Readonly<Record<string, string>> {
  return {
    permission: wordFor(permissions, acl.permissionType),
    operation: wordFor(operations, acl.operation),
    principal: acl.principal,
    host: acl.host,
    resource: wordFor(resourceTypes, acl.resourceType),
    pattern: wordFor(patternTypes, acl.patternType),
    name: acl.resourceName,
  };
}

/** Who may do what, put around the handlers of a core. */
import type { Settings } from "../schemas/config.ts";
import { AuditLog } from "./access/audit-log.ts";
import { Authorizer } from "./access/authorizer.ts";
import type { Runtime } from "./base/runtime.ts";
import type { Counter, Logger } from "./base/telemetry.ts";
import { guarded } from "./handlers/guard.ts";
import { guardRules } from "./handlers/guard-rules.ts";
import type { MetadataClient } from "./metadata/client.ts";
import type { Handlers } from "./protocol/dispatch.ts";

/** undefined where no ACLs are enforced. */
export function openAuthorizer(options: {
  readonly settings: Settings;
  readonly runtime: Runtime;
  readonly metadata: MetadataClient;
  readonly logger: Logger;
  readonly denials: Counter;
}): Authorizer | undefined {
  const { settings, runtime, metadata, logger, denials } = options;
  if (!settings.authorizerEnabled) return undefined;
  const denialsPerSecondMax = settings.auditDenialsPerSecondMax;
  const audit = new AuditLog({
    logger: logger.child({ log: "audit" }),
    clock: runtime.clock,
    denialsPerSecondMax,
    denials,
  });
  const { superUsers, allowsWithoutAcl } = settings;
  return new Authorizer({ metadata, superUsers, allowsWithoutAcl, audit });
}

export function guardedHandlers(
  handlers: Handlers,
  {
    settings,
    metadata,
    authorizer,
  }: {
    readonly settings: Settings;
    readonly metadata: MetadataClient;
    readonly authorizer: Authorizer | undefined;
  },
): Handlers {
  if (authorizer === undefined) return handlers;
  return guarded(handlers, { authorizer, metadata, createsTopics: settings.topicAutoCreate, rules: guardRules });
}

/** Who may do what, and how much of it, put around the handlers of a core. */
import type { Settings } from "../schemas/config.ts";
import { AuditLog } from "./access/audit-log.ts";
import { Authorizer } from "./access/authorizer.ts";
import { ClientQuotas, type QuotaMetrics } from "./access/client-quotas.ts";
import type { LogLevels } from "./base/log-levels.ts";
import type { Runtime } from "./base/runtime.ts";
import type { Counter, Logger } from "./base/telemetry.ts";
import { audited } from "./handlers/access/audited.ts";
import { guarded } from "./handlers/guard/guard.ts";
import { guardRules } from "./handlers/guard/guard-rules.ts";
import { metered } from "./handlers/quotas/metered.ts";
import { mutationLimited } from "./handlers/quotas/mutation-quota.ts";
import type { MetadataClient } from "./metadata/client.ts";
import type { Handlers } from "./protocol/dispatch.ts";

/** undefined where no ACLs are enforced. */
export function openAuthorizer(options: {
  readonly settings: Settings;
  readonly runtime: Runtime;
  readonly metadata: MetadataClient;
  readonly logger: Logger;
  readonly logLevels: LogLevels;
  readonly denials: Counter;
}): Authorizer | undefined {
  const { settings, runtime, metadata, logger, logLevels, denials } = options;
  if (!settings.authorizerEnabled) return undefined;
  const denialsPerSecondMax = settings.auditDenialsPerSecondMax;
  const audit = new AuditLog({
    logger: logger.child({ log: "audit" }),
    clock: runtime.clock,
    denialsPerSecondMax,
    denials,
    tellsAllowed: () => logLevels.isLogged(undefined, "debug"),
  });
  const { superUsers, allowsWithoutAcl } = settings;
  return new Authorizer({ metadata, superUsers, allowsWithoutAcl, audit });
}

export function openClientQuotas(options: {
  readonly settings: Settings;
  readonly runtime: Runtime;
  readonly metadata: MetadataClient;
  readonly metrics: QuotaMetrics;
}): ClientQuotas {
  const { settings, runtime, metadata, metrics } = options;
  return new ClientQuotas({
    metadata,
    clock: runtime.clock,
    window: { samples: settings.quotaWindowSamples, sampleMs: settings.quotaWindowSeconds * 1000 },
    mutationWindow: {
      samples: settings.controllerQuotaWindowSamples,
      sampleMs: settings.controllerQuotaWindowSeconds * 1000,
    },
    limits: { metersMax: settings.quotaMetersMax },
    metrics,
  });
}

/** Measured first, since refused requests cost time too; mutations last, since nobody pays for what was refused. */
export function guardedHandlers(
  handlers: Handlers,
  options: {
    readonly settings: Settings;
    readonly runtime: Runtime;
    readonly metadata: MetadataClient;
    readonly authorizer: Authorizer | undefined;
    readonly quotas: ClientQuotas;
    readonly logger: Logger;
  },
): Handlers {
  const { settings, runtime, metadata, authorizer, quotas } = options;
  const seen = audited(handlers, options.logger.child({ log: "audit" }));
  const limited = mutationLimited(seen, { quotas, metadata, partitionsByDefault: settings.topicPartitionsDefault });
  const createsTopics = settings.topicAutoCreate;
  const allowed =
    authorizer === undefined ? limited : guarded(limited, { authorizer, metadata, createsTopics, rules: guardRules });
  return metered(allowed, quotas, runtime.clock);
}

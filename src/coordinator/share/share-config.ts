/** What a share group may be told by administrators, laid over the broker's settings. */
import type { Isolation, OffsetQuery } from "../../log/log.ts";

export interface ShareGroupConfig {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly lockDurationMs: number;
  readonly deliveryCountLimit: number;
  readonly locksMax: number;
  readonly isRenewAllowed: boolean;
  readonly isolation: Isolation;
  readonly reset: ShareReset;
}

/** Where a share-partition begins that nobody has read. */
export type ShareReset =
  | { readonly kind: "earliest" | "latest" }
  | { readonly kind: "by-duration"; readonly ms: number };

export type ShareConfigOf = (groupId: string) => ShareGroupConfig;

/** `texts` are the group's configs, checked when they were set: what cannot be read counts as not set. */
export function shareGroupConfig(texts: ReadonlyMap<string, string>, defaults: ShareGroupConfig): ShareGroupConfig {
  const number = (name: string, otherwise: number): number => {
    const value = Number(texts.get(name) ?? Number.NaN);
    return Number.isSafeInteger(value) ? value : otherwise;
  };
  const isolation = texts.get("share.isolation.level");
  return {
    sessionTimeoutMs: number("share.session.timeout.ms", defaults.sessionTimeoutMs),
    heartbeatIntervalMs: number("share.heartbeat.interval.ms", defaults.heartbeatIntervalMs),
    lockDurationMs: number("share.record.lock.duration.ms", defaults.lockDurationMs),
    deliveryCountLimit: number("share.delivery.count.limit", defaults.deliveryCountLimit),
    locksMax: number("share.partition.max.record.locks", defaults.locksMax),
    isRenewAllowed: (texts.get("share.renew.acknowledge.enable") ?? `${defaults.isRenewAllowed}`) === "true",
    isolation:
      isolation === undefined
        ? defaults.isolation
        : isolation === "read_committed"
          ? "read-committed"
          : "read-uncommitted",
    reset: shareReset(texts.get("share.auto.offset.reset")) ?? defaults.reset,
  };
}

/** "earliest", "latest" or "by_duration:" with an ISO 8601 duration of days and smaller; undefined for anything else. */
export function shareReset(text: string | undefined): ShareReset | undefined {
  if (text === "earliest" || text === "latest") return { kind: text };
  const match = /^by_duration:P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/i.exec(text ?? "");
  if (match === null || match.slice(1).every((part) => part === undefined)) return undefined;
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
  ];
  return { kind: "by-duration", ms: Math.round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000) };
}

export function resetQuery(reset: ShareReset, nowMs: number): OffsetQuery {
  return reset.kind === "by-duration" ? { kind: "at-or-after", timestamp: nowMs - reset.ms } : { kind: reset.kind };
}

/** Metrics, health and the admin API as routes. What they answer is given to them. */
import { type HttpResponse, type HttpRoute, jsonResponse } from "../base/http.ts";

export interface AdminSurface {
  /** Prometheus text. */
  metrics(): string;
  readonly metricsContentType: string;
  /** Why the broker should not get traffic; [] when it should. */
  unreadyBecause(): readonly string[];
  status(): unknown;
  tables(): readonly TableStatus[];
  /** Uploads, translates and commits what the topic holds now. Rejects when that fails. */
  flushTable(topic: string, signal: AbortSignal): Promise<FlushOutcome>;
}

export interface TableStatus {
  readonly topic: string;
  readonly catalog: string;
  /** With its namespace, joined by dots. */
  readonly table: string;
  readonly state: string;
  readonly [detail: string]: unknown;
}

export type FlushOutcome =
  | { readonly kind: "flushed"; readonly detail: unknown }
  | { readonly kind: "no-table" }
  /** The table cannot be committed now, and why. */
  | { readonly kind: "refused"; readonly reason: string };

export function adminRoutes(surface: AdminSurface): readonly HttpRoute[] {
  return [
    {
      method: "GET",
      path: "/metrics",
      handle: () => ({ status: 200, headers: { "content-type": surface.metricsContentType }, body: surface.metrics() }),
    },
    // It answers, so it lives; a broker that cannot go on stops its process instead of saying so here.
    { method: "GET", path: "/health/live", isOpen: true, handle: () => jsonResponse(200, { status: "live" }) },
    { method: "GET", path: "/health/ready", isOpen: true, handle: () => readiness(surface.unreadyBecause()) },
    { method: "GET", path: "/v1/status", handle: () => jsonResponse(200, surface.status()) },
    { method: "GET", path: "/v1/tables", handle: () => jsonResponse(200, { tables: surface.tables() }) },
    {
      method: "POST",
      path: "/v1/tables/:topic/flush",
      handle: async ({ params, signal }) =>
        flushed(params["topic"] as string, await surface.flushTable(params["topic"] as string, signal)),
    },
  ];
}

function readiness(reasons: readonly string[]): HttpResponse {
  return reasons.length === 0
    ? jsonResponse(200, { status: "ready" })
    : jsonResponse(503, { status: "unready", reasons });
}

function flushed(topic: string, outcome: FlushOutcome): HttpResponse {
  switch (outcome.kind) {
    case "flushed":
      return jsonResponse(200, outcome.detail);
    case "no-table":
      return jsonResponse(404, { error: `topic ${topic} has no table` });
    case "refused":
      return jsonResponse(409, { error: outcome.reason });
  }
}

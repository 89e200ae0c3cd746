/** What can be asked about a table's content, as routes of the admin API. What they answer is given to them. */
import { type HttpResponse, type HttpRoute, jsonResponse } from "../base/http.ts";

export interface TableToolSurface {
  /** Starts a verification, or joins the one that runs: of the topic's table, or of the named one beside it. */
  startVerify(topic: string, table: string | null): ToolAnswer;
  /** Its end, or how far it is when it lasts. */
  verifyState(topic: string, table: string | null, signal: AbortSignal): Promise<ToolAnswer>;
  /** Starts to make rows of dead letters, or joins what does. `undecided`: "keep" or "apply". */
  startReplay(topic: string, body: Readonly<Record<string, unknown>>): ToolAnswer;
  replayState(topic: string, signal: AbortSignal): Promise<ToolAnswer>;
  /** Begins to bring history into the table, or changes the rate of what does. */
  startBackfill(topic: string, body: Readonly<Record<string, unknown>>): Promise<ToolAnswer>;
  /** The first snapshot that holds the records: `offset` as "partition:offset,…", or `timestamp` as milliseconds or RFC 3339. */
  snapshotAt(
    topic: string,
    request: { readonly offset: string | null; readonly timestamp: string | null },
  ): Promise<ToolAnswer>;
  /** The table as it would be under the block of settings, or the broker's own when it is undefined. Writes nothing. */
  plan(topic: string, block: unknown): Promise<ToolAnswer>;
  /** Rows of a query over tables and what is not committed to them yet. */
  sql(query: string, signal: AbortSignal): Promise<ToolAnswer>;
}

export type ToolAnswer =
  | { readonly kind: "ok"; readonly detail: unknown }
  | { readonly kind: "missing"; readonly reason: string }
  /** It cannot be answered as things are, and why. */
  | { readonly kind: "refused"; readonly reason: string }
  /** What was asked makes no sense. */
  | { readonly kind: "invalid"; readonly reason: string };

export function tableToolRoutes(surface: TableToolSurface): readonly HttpRoute[] {
  return [
    {
      method: "POST",
      path: "/v1/tables/:topic/verify",
      handle: ({ params, query }) => answered(surface.startVerify(params["topic"] as string, query.get("table")), 202),
    },
    {
      method: "GET",
      path: "/v1/tables/:topic/verify",
      handle: async ({ params, query, signal }) =>
        answered(await surface.verifyState(params["topic"] as string, query.get("table"), signal)),
    },
    {
      method: "POST",
      path: "/v1/tables/:topic/replay-dlq",
      handle: ({ params, body }) => answered(surface.startReplay(params["topic"] as string, bodyOf(body)), 202),
    },
    {
      method: "GET",
      path: "/v1/tables/:topic/replay-dlq",
      handle: async ({ params, signal }) => answered(await surface.replayState(params["topic"] as string, signal)),
    },
    {
      method: "POST",
      path: "/v1/tables/:topic/backfill",
      handle: async ({ params, body }) =>
        answered(await surface.startBackfill(params["topic"] as string, bodyOf(body)), 202),
    },
    {
      method: "GET",
      path: "/v1/tables/:topic/at",
      handle: async ({ params, query }) => {
        const request = { offset: query.get("offset"), timestamp: query.get("timestamp") };
        return answered(await surface.snapshotAt(params["topic"] as string, request));
      },
    },
    {
      method: "POST",
      path: "/v1/tables/:topic/plan",
      handle: async ({ params, body }) =>
        answered(await surface.plan(params["topic"] as string, bodyOf(body)["settings"])),
    },
    {
      method: "POST",
      path: "/v1/sql",
      handle: async ({ body, signal }) => {
        const { query } = bodyOf(body);
        return answered(await surface.sql(typeof query === "string" ? query : "", signal));
      },
    },
  ];
}

/** {} for what is no JSON object. */
function bodyOf(body: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const json = JSON.parse(Buffer.from(body).toString("utf8")) as unknown;
    return typeof json === "object" && json !== null ? (json as Readonly<Record<string, unknown>>) : {};
  } catch (cause) {
    if (cause instanceof SyntaxError) return {};
    throw cause;
  }
}

function answered(answer: ToolAnswer, status = 200): HttpResponse {
  switch (answer.kind) {
    case "ok":
      return jsonResponse(status, answer.detail);
    case "missing":
      return jsonResponse(404, { error: answer.reason });
    case "refused":
      return jsonResponse(409, { error: answer.reason });
    case "invalid":
      return jsonResponse(400, { error: answer.reason });
  }
}

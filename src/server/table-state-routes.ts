/** How a topic's table stands, and its way out of a pause, as routes of the admin API. What they answer is given to them. */
import { type HttpResponse, type HttpRoute, jsonResponse } from "../base/http.ts";

export interface TableStateSurface {
  /** State and reason, lag of each partition, and what the catalog says of the table. */
  tableState(topic: string): Promise<TableAnswer>;
  /** accept: the table is right as it is; retranslate: the log goes into a new table. */
  resumeTable(topic: string, how: "accept" | "retranslate"): Promise<TableAnswer>;
}

export type TableAnswer =
  | { readonly kind: "ok"; readonly detail: unknown }
  | { readonly kind: "no-table" }
  /** It cannot be done now, and why. */
  | { readonly kind: "refused"; readonly reason: string };

export function tableStateRoutes(surface: TableStateSurface): readonly HttpRoute[] {
  return [
    {
      method: "GET",
      path: "/v1/tables/:topic",
      handle: async ({ params }) =>
        answered(params["topic"] as string, await surface.tableState(params["topic"] as string)),
    },
    {
      method: "POST",
      path: "/v1/tables/:topic/resume",
      handle: async ({ params, query }) => {
        const topic = params["topic"] as string;
        const how = query.get("how");
        if (how !== "accept" && how !== "retranslate") {
          return jsonResponse(400, { error: "how must be accept or retranslate" });
        }
        return answered(topic, await surface.resumeTable(topic, how));
      },
    },
  ];
}

function answered(topic: string, answer: TableAnswer): HttpResponse {
  switch (answer.kind) {
    case "ok":
      return jsonResponse(200, answer.detail);
    case "no-table":
      return jsonResponse(404, { error: `topic ${topic} has no table` });
    case "refused":
      return jsonResponse(409, { error: answer.reason });
  }
}

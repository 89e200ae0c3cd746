/** Files of a table that nothing names, as routes of the admin API. What they answer is given to them. */
import { type HttpRoute, jsonResponse } from "../base/http.ts";

export interface TableOrphanSurface {
  /** Starts looking for them; deletes them too when it is told to. `olderThan`: "7d"; null: as the table's settings say. */
  startOrphans(
    topic: string,
    request: { readonly olderThan: string | null; readonly isDelete: boolean },
  ): OrphanRunAnswer;
  /** What was found, or that it is still looked for. */
  orphansState(topic: string, signal: AbortSignal): Promise<OrphanRunAnswer>;
}

export type OrphanRunAnswer =
  | { readonly kind: "ok"; readonly detail: unknown }
  | { readonly kind: "missing"; readonly reason: string }
  /** Another search of this table is under way, for something else. */
  | { readonly kind: "busy"; readonly reason: string }
  | { readonly kind: "invalid"; readonly reason: string };

export function tableOrphanRoutes(surface: TableOrphanSurface): readonly HttpRoute[] {
  const path = "/v1/tables/:topic/orphans";
  return [
    {
      method: "POST",
      path,
      handle: ({ params, query }) => {
        const deletes = query.get("delete") ?? "false";
        if (deletes !== "true" && deletes !== "false") {
          return jsonResponse(400, { error: "delete must be true or false" });
        }
        const request = { olderThan: query.get("older_than"), isDelete: deletes === "true" };
        return answered(surface.startOrphans(params["topic"] as string, request), 202);
      },
    },
    {
      method: "GET",
      path,
      handle: async ({ params, signal }) =>
        answered(await surface.orphansState(params["topic"] as string, signal), 200),
    },
  ];
}

function answered(answer: OrphanRunAnswer, status: number) {
  switch (answer.kind) {
    case "ok":
      return jsonResponse(status, answer.detail);
    case "missing":
      return jsonResponse(404, { error: answer.reason });
    case "busy":
      return jsonResponse(409, { error: answer.reason });
    case "invalid":
      return jsonResponse(400, { error: answer.reason });
  }
}

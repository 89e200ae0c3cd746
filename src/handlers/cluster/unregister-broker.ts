/** UnregisterBroker: a node that went for good, and left nothing behind that only it could finish, is forgotten. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { NodeId } from "../../base/ids.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";
import { type ClusterView, registeredNodes } from "./cluster-view.ts";

export function unregisterBrokerHandler({
  metadata,
}: ClusterView): Handler<RequestOf<"unregisterBroker">, ResponseInputOf<"unregisterBroker">> {
  return async ({ brokerId }) => {
    const node = registeredNodes(metadata.image).find(({ id }) => id === brokerId);
    if (brokerId === metadata.nodeId)
      return refused("INVALID_REQUEST", `Broker ${brokerId} is the one that was asked.`);
    if (node === undefined)
      return refused("BROKER_ID_NOT_REGISTERED", `Broker ID ${brokerId} is not currently registered.`);
    const nodeId = brokerId as NodeId;
    const proposal = await metadata.propose([{ kind: "unregister-node", nodeId, epoch: node.epoch }]);
    if (proposal.kind === "accepted") return { errorCode: 0, errorMessage: null };
    const { refusal } = proposal;
    const why = refusal.reason === "fenced" ? "this broker was replaced" : refusal.detail;
    return refused("INVALID_REQUEST", `Broker ${brokerId} cannot be unregistered: ${why}.`);
  };
}

function refused(error: ErrorName, message: string): { readonly errorCode: number; readonly errorMessage: string } {
  return { errorCode: code(error), errorMessage: clipped(message) };
}

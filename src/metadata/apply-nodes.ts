/** What node events and the giving out of producer ids do to the image. */
import type { NodeEpoch } from "../base/ids.ts";
import { type ApplyContext, refuse, type Verdict } from "./apply-context.ts";
import type { MetadataEvent, NodeEvent } from "./events.ts";
import type { ImageState } from "./image-state.ts";

export function applyNodeEvent(image: ImageState, event: NodeEvent, context: ApplyContext): Verdict {
  switch (event.kind) {
    case "register-node":
      return applyRegisterNode(image, event, context);
    case "set-broker-configs":
      context.undo.set(image.configsOfBrokers, event.nodeId, event.configs);
      return undefined;
  }
}

/** The seq becomes the node's epoch and fences whatever the id's former process still sends. */
function applyRegisterNode(
  image: ImageState,
  event: Extract<NodeEvent, { readonly kind: "register-node" }>,
  context: ApplyContext,
): Verdict {
  if (event.nodeId !== context.nodeId) return refuse("invalid", "a node registers itself only");
  const { nodeId, incarnation, host, port, rack } = event;
  const before = image.nodeStates.get(nodeId);
  const epoch = before?.incarnation === incarnation ? before.epoch : (context.seq as number as NodeEpoch);
  context.undo.set(image.nodeStates, nodeId, { id: nodeId, epoch, incarnation, host, port, rack });
  return undefined;
}

/** Once an entry: whoever proposed it learns from its seq which ids they were. */
export function applyAllocateProducerIds(
  image: ImageState,
  event: Extract<MetadataEvent, { readonly kind: "allocate-producer-ids" }>,
  context: ApplyContext,
): Verdict {
  if (event.count <= 0) return refuse("invalid", `a count of ${event.count}`);
  if (image.producerIdsAt === context.seq) return refuse("invalid", "an entry gives out producer ids once");
  const next = image.nextProducerId + event.count;
  if (!Number.isSafeInteger(next)) return refuse("invalid", "no producer ids are left");
  context.undo.assign(image, { nextProducerId: next, producerIdsAt: context.seq });
  return undefined;
}

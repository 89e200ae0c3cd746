/** What node events and the giving out of producer ids do to the image. */
import { assert } from "../base/errors.ts";
import { type NodeEpoch, uuidZero } from "../base/ids.ts";
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
    case "unregister-node":
      return applyUnregisterNode(image, event, context);
    case "fence-node":
      return applyFenceNode(image, event, context);
    case "open-wal":
      return applyOpenWal(image, event, context);
    case "advance-wal":
      return applyAdvanceWal(image, event, context);
  }
}

type EventOf<K extends NodeEvent["kind"]> = Extract<NodeEvent, { readonly kind: K }>;

/** The seq becomes the node's epoch and fences whatever the id's former process still sends. */
function applyRegisterNode(image: ImageState, event: EventOf<"register-node">, context: ApplyContext): Verdict {
  if (event.nodeId !== context.nodeId) return refuse("invalid", "a node registers itself only");
  const { nodeId, incarnation, host, port, rack } = event;
  const before = image.nodeStates.get(nodeId);
  const epoch = before?.incarnation === incarnation ? before.epoch : (context.seq as number as NodeEpoch);
  const wals = before?.wals ?? [];
  context.undo.set(image.nodeStates, nodeId, { id: nodeId, epoch, incarnation, host, port, rack, wals });
  return undefined;
}

function applyFenceNode(image: ImageState, event: EventOf<"fence-node">, context: ApplyContext): Verdict {
  const { nodeId } = event;
  if (nodeId === context.nodeId) return refuse("invalid", "a node does not fence itself");
  const node = image.nodeStates.get(nodeId);
  if (node === undefined) return refuse("missing", `node ${nodeId}`);
  if (node.epoch !== event.epoch) return refuse("stale-epoch", `node ${nodeId} is at epoch ${node.epoch}`);
  const epoch = context.seq as number as NodeEpoch;
  context.undo.set(image.nodeStates, nodeId, { ...node, epoch, incarnation: uuidZero });
  return undefined;
}

/** A node that clients are not told of: it went for good, or is known by the objects that it left. */
const nowhere = { host: "", port: 0, rack: null } as const;

function applyUnregisterNode(image: ImageState, event: EventOf<"unregister-node">, context: ApplyContext): Verdict {
  const { nodeId, epoch } = event;
  const before = image.nodeStates.get(nodeId);
  if (before !== undefined && before.wals.length > 0 && before.incarnation !== uuidZero)
    return refuse("invalid", `nobody has taken over the WAL of node ${nodeId}`);
  let written = Number.POSITIVE_INFINITY; // The least: streams come in another order where they come from a checkpoint.
  for (const { id, node } of image.streams()) if (node === nodeId) written = Math.min(written, id);
  if (Number.isFinite(written)) return refuse("invalid", `node ${nodeId} writes stream ${written}`);
  const refusal = applyFenceNode(image, { kind: "fence-node", nodeId, epoch }, context);
  if (refusal !== undefined) return refusal;
  const fenced = image.nodeStates.get(nodeId);
  assert(fenced !== undefined, "a node that was fenced is known");
  context.undo.set(image.nodeStates, nodeId, { ...fenced, ...nowhere });
  return undefined;
}

function applyOpenWal(image: ImageState, event: EventOf<"open-wal">, context: ApplyContext): Verdict {
  const { nodeId, nodeEpoch: epoch } = context;
  const { slotsInFlightMax } = event;
  if (slotsInFlightMax <= 0) return refuse("invalid", `${slotsInFlightMax} slots in flight`);
  const node = image.nodeStates.get(nodeId);
  if (node === undefined) return refuse("missing", `node ${nodeId}`);
  if (node.wals.some((wal) => wal.epoch === epoch)) return refuse("exists", `the WAL of epoch ${epoch}`);
  const wals = [...node.wals, { epoch, slot: 0, slotsInFlightMax }];
  context.undo.set(image.nodeStates, nodeId, { ...node, wals });
  return undefined;
}

/** Proposed by the node itself, or by another that has fenced it. */
function applyAdvanceWal(image: ImageState, event: EventOf<"advance-wal">, context: ApplyContext): Verdict {
  const { nodeId, epoch, slot } = event;
  const node = image.nodeStates.get(nodeId);
  if (node === undefined) return refuse("missing", `node ${nodeId}`);
  if (slot < 0) return refuse("invalid", `slot ${slot}`);
  const isFenced = node.incarnation === uuidZero;
  if (nodeId !== context.nodeId && !isFenced) return refuse("invalid", `node ${nodeId} writes its WAL itself`);
  const wals = node.wals
    .filter((wal) => wal.epoch >= epoch)
    .map((wal) => (wal.epoch === epoch ? { ...wal, slot: Math.max(wal.slot, slot) } : wal));
  context.undo.set(image.nodeStates, nodeId, { ...node, wals });
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

/**
 * The fold: entries of the log, in order, into the image. Pure but for the image itself, so every node that has folded
 * the same entries has the same image.
 *
 *   seen this opId? ── yes ──▶ what was decided then          (first: a repeat of what took effect is not a rival's)
 *        │ no
 *   current epoch?  ── no ───▶ all groups refused: fenced
 *        │ yes
 *   each group: its events in order, or none of them
 */
import { assert, unreachable } from "../base/errors.ts";
import type { NodeEpoch, Uuid } from "../base/ids.ts";
import { applyCatalogEvent } from "./apply-catalog.ts";
import type { ApplyContext, Verdict } from "./apply-context.ts";
import { applySetFacts } from "./apply-facts.ts";
import { applyAllocateProducerIds, applyNodeEvent } from "./apply-nodes.ts";
import { applyStreamEvent } from "./apply-streams.ts";
import { applyTableEvent } from "./apply-tables.ts";
import { applyTopicEvent } from "./apply-topics.ts";
import type { StoredEntry } from "./cas-log.ts";
import { requireChain } from "./entry-format.ts";
import { decodeGroups } from "./event-codec.ts";
import type { MetadataEvent } from "./events.ts";
import type { Decision, ImageState } from "./image-state.ts";
import { Undo } from "./undo.ts";

/** A node has one append in flight, so a repeat is always among its newest. Part of the fold: the same on all nodes. */
const decisionsKeptMax = 64;

export interface Folded {
  readonly decision: Decision;
  readonly groups: readonly (readonly MetadataEvent[])[];
  /** False for a repeat: the decision is the one of the first time. */
  readonly isNew: boolean;
}

/** `accepted` is called right after each group that took effect, when the image holds it and nothing later. */
export function fold(
  image: ImageState,
  entry: StoredEntry,
  accepted: (events: readonly MetadataEvent[]) => void = () => {},
): Folded | undefined {
  if (entry.seq <= image.seq) return undefined; // Known: reading again changes nothing.
  requireChain(image, entry);
  const groups = decodeGroups(entry.events, `metadata entry ${entry.seq}`);
  const seen = image.decision(entry.nodeId, entry.opId);
  if (image.seq === 0) image.clusterId = entry.opId;
  image.seq = entry.seq;
  image.hash = entry.hash;
  if (seen !== undefined) return { decision: seen, groups, isNew: false };
  const by = fencedBy(image, entry, groups);
  const refusals = groups.map((group) => {
    if (by !== undefined) return { reason: "fenced", by } as const;
    const refusal = applyGroup(image, entry, group);
    if (refusal === undefined) accepted(group);
    return refusal ?? null;
  });
  const decision: Decision = { seq: entry.seq, refusals };
  if (by === undefined) remember(image, entry, decision);
  return { decision, groups, isNew: true };
}

/** The epoch that stands against the entry's; undefined when it may speak. */
function fencedBy(
  image: ImageState,
  entry: StoredEntry,
  groups: readonly (readonly MetadataEvent[])[],
): NodeEpoch | undefined {
  if (entry.nodeEpoch === 0 && groups.length === 1 && groups[0]?.[0]?.kind === "register-node") return undefined;
  const epoch = image.nodeStates.get(entry.nodeId)?.epoch ?? (0 as NodeEpoch);
  return epoch === entry.nodeEpoch && epoch !== 0 ? undefined : epoch;
}

function applyGroup(image: ImageState, entry: StoredEntry, group: readonly MetadataEvent[]): Verdict {
  const undo = new Undo();
  const context = { seq: entry.seq, nodeId: entry.nodeId, nodeEpoch: entry.nodeEpoch, undo };
  for (const event of group) {
    const refusal = applyEvent(image, event, context);
    if (refusal !== undefined) {
      undo.rollBack();
      return refusal;
    }
  }
  undo.accept();
  return undefined;
}

function applyEvent(image: ImageState, event: MetadataEvent, context: ApplyContext): Verdict {
  switch (event.kind) {
    case "register-node":
    case "set-broker-configs":
    case "unregister-node":
    case "fence-node":
    case "open-wal":
    case "advance-wal":
      return applyNodeEvent(image, event, context);
    case "allocate-producer-ids":
      return applyAllocateProducerIds(image, event, context);
    case "create-topic":
    case "delete-topic":
    case "create-partitions":
    case "set-topic-configs":
      return applyTopicEvent(image, event, context);
    case "open-streams":
    case "commit-object":
    case "replace-ranges":
    case "trim-streams":
    case "objects-deleted":
      return applyStreamEvent(image, event, context);
    case "create-table":
    case "add-table-round":
    case "replace-table-round":
    case "table-rounds-committed":
    case "table-schema":
    case "table-state":
      return applyTableEvent(image, event, context);
    case "set-facts":
      return applySetFacts(image, event, context);
    case "put-namespace":
    case "drop-namespace":
    case "move-table-pointers":
      return applyCatalogEvent(image, event, context);
    default:
      return unreachable(event);
  }
}

function remember(image: ImageState, entry: StoredEntry, decision: Decision): void {
  let decisions = image.decisions.get(entry.nodeId);
  if (decisions === undefined) {
    decisions = new Map<Uuid, Decision>();
    image.decisions.set(entry.nodeId, decisions);
  }
  decisions.set(entry.opId, decision);
  if (decisions.size > decisionsKeptMax) {
    const [oldest] = decisions.keys();
    assert(oldest !== undefined, "more than none are kept");
    decisions.delete(oldest);
  }
}

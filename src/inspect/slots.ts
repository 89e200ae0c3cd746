/**
 * What a node's WALs in the object store hold, as a start would recover it. A recovery ends each WAL with a seal; here the seals
 * go to nobody, so nothing is written, and a broker at work goes on.
 */

import type { NodeEpoch, NodeId } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import { silentLogger } from "../base/telemetry.ts";
import type { Image } from "../metadata/image.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { DecodedSlot } from "../stream/slot-format.ts";
import { recoverSlots } from "../stream/slot-recovery.ts";

export interface SlotsOptions {
  readonly store: Pick<ObjectStore, "get">;
  readonly image: Image;
  readonly node: NodeId;
  readonly runtime: Runtime;
}

/** In order, the oldest WAL first. Throws CorruptData where a start would refuse to go on. */
export async function eachRecoverableSlot(
  { store, image, node, runtime }: SlotsOptions,
  visit: (slot: DecodedSlot) => void,
): Promise<void> {
  const giveUp = new AbortController();
  const options = {
    store: { get: store.get.bind(store), putIfAbsent: sealedByNobody },
    origin: { cluster: image.clusterId, node, nodeEpoch: image.node(node)?.epoch ?? (0 as NodeEpoch) },
    node,
    runtime,
    limits: { uploadRetryDelayMsMin: 0, uploadRetryDelayMsMax: 0 },
    // A broker waits out a store in trouble; who looks is told of it at once.
    logger: { ...silentLogger, warn: (_: string, { cause }: { readonly cause?: unknown } = {}) => giveUp.abort(cause) },
    signal: giveUp.signal,
  };
  for (const wal of image.wals(node)) await recoverSlots({ ...options, wal }, visit);
}

const sealedByNobody: ObjectStore["putIfAbsent"] = async () => ({ kind: "created", etag: "" });

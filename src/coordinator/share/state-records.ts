/** States of share-partitions as records of __share_group_state (schemas/kafka/share-records.ts): the only place that knows both sides. */
import {
  shareSnapshotKey,
  shareSnapshotValue,
  shareUpdateKey,
  shareUpdateValue,
} from "../../../schemas/kafka/share-records.ts";
import { CorruptData } from "../../base/errors.ts";
import type { Uuid } from "../../base/ids.ts";
import type { StateRecord } from "../../log/state-log.ts";
import { decodeVersioned, encodeVersioned, versionOf } from "../../protocol/versioned.ts";
import { type DeliveryState, deliveryStateCodes } from "./delivery.ts";
import type { StateBatch } from "./state-batches.ts";

export interface SharePartitionKey {
  readonly groupId: string;
  readonly topicId: Uuid;
  readonly partition: number;
}

export interface ShareState {
  readonly snapshotEpoch: number;
  /** Grows when the state is made anew, by an administrator or with a new group of the same name. */
  readonly stateEpoch: number;
  /** Of the node that leads the share-partition. */
  readonly leaderEpoch: number;
  /** -1: not given out yet; the group's share.auto.offset.reset says where it begins. */
  readonly startOffset: number;
  readonly deliveryCompleteCount: number;
  readonly createdAt: number;
  readonly batches: readonly StateBatch[];
}

export interface ShareUpdate {
  readonly leaderEpoch: number;
  readonly startOffset: number;
  readonly deliveryCompleteCount: number;
  readonly batches: readonly StateBatch[];
}

export type ShareStateRecord =
  | { readonly kind: "snapshot"; readonly key: SharePartitionKey; readonly state: ShareState | null }
  | { readonly kind: "update"; readonly key: SharePartitionKey; readonly update: ShareUpdate | null }
  | { readonly kind: "foreign" };

const snapshotKeyVersion = 0;
const updateKeyVersion = 1;

export function snapshotRecord(key: SharePartitionKey, state: ShareState, writeTimestamp: number): StateRecord {
  return {
    key: encodeVersioned(shareSnapshotKey, snapshotKeyVersion, key),
    value: encodeVersioned(shareSnapshotValue, 0, {
      snapshotEpoch: state.snapshotEpoch,
      stateEpoch: state.stateEpoch,
      leaderEpoch: state.leaderEpoch,
      startOffset: state.startOffset,
      deliveryCompleteCount: state.deliveryCompleteCount,
      createTimestamp: state.createdAt,
      writeTimestamp,
      stateBatches: state.batches.map(encodedBatch),
    }),
  };
}

export function snapshotTombstone(key: SharePartitionKey): StateRecord {
  return { key: encodeVersioned(shareSnapshotKey, snapshotKeyVersion, key), value: null };
}

export function updateRecord(key: SharePartitionKey, snapshotEpoch: number, update: ShareUpdate): StateRecord {
  return {
    key: encodeVersioned(shareUpdateKey, updateKeyVersion, key),
    value: encodeVersioned(shareUpdateValue, 0, {
      snapshotEpoch,
      leaderEpoch: update.leaderEpoch,
      startOffset: update.startOffset,
      deliveryCompleteCount: update.deliveryCompleteCount,
      stateBatches: update.batches.map(encodedBatch),
    }),
  };
}

/** Throws CorruptData when the record is of a known kind and does not hold what it should. */
export function decodeShareState(key: Uint8Array, value: Uint8Array | null): ShareStateRecord {
  switch (versionOf(key)) {
    case snapshotKeyVersion:
      return {
        kind: "snapshot",
        key: decodeVersioned(shareSnapshotKey, key),
        state: value === null ? null : decodeSnapshot(value),
      };
    case updateKeyVersion:
      return {
        kind: "update",
        key: decodeVersioned(shareUpdateKey, key),
        update: value === null ? null : decodeUpdate(value),
      };
    default:
      return { kind: "foreign" };
  }
}

function decodeSnapshot(value: Uint8Array): ShareState {
  const decoded = decodeVersioned(shareSnapshotValue, value);
  const { snapshotEpoch, stateEpoch, leaderEpoch, startOffset, deliveryCompleteCount } = decoded;
  const createdAt = decoded.createTimestamp;
  return {
    snapshotEpoch,
    stateEpoch,
    leaderEpoch,
    startOffset,
    deliveryCompleteCount,
    createdAt,
    batches: decoded.stateBatches.map(decodedBatch),
  };
}

function decodeUpdate(value: Uint8Array): ShareUpdate {
  const { leaderEpoch, startOffset, deliveryCompleteCount, stateBatches } = decodeVersioned(shareUpdateValue, value);
  return { leaderEpoch, startOffset, deliveryCompleteCount, batches: stateBatches.map(decodedBatch) };
}

interface EncodedBatch {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly deliveryState: number;
  readonly deliveryCount: number;
}

function encodedBatch({ first, last, state, deliveryCount }: StateBatch): EncodedBatch {
  return { firstOffset: first, lastOffset: last, deliveryState: deliveryStateCodes[state], deliveryCount };
}

const stateByCode = new Map(
  Object.entries(deliveryStateCodes).map(([state, code]) => [code as number, state as DeliveryState]),
);

function decodedBatch({ firstOffset, lastOffset, deliveryState, deliveryCount }: EncodedBatch): StateBatch {
  const state = stateByCode.get(deliveryState);
  if (state === undefined || state === "acquired" || lastOffset < firstOffset) {
    throw new CorruptData({
      source: "a state batch of a share-partition",
      position: 0,
      expected: "a state that is kept and a range",
      found: `${deliveryState} of ${firstOffset} to ${lastOffset}`,
    });
  }
  return { first: firstOffset, last: lastOffset, state, deliveryCount };
}

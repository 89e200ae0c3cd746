/**
 * The metadata log's bytes: the events with their persisted numbers, and the entry that carries them.
 *
 *   entry    | seq 8 | nodeId 4 | nodeEpoch 8 | opId 16 | hash before 32 | events, to the end |
 *   events   | format 1 | groups: uvarint count, each a group |
 *   group    | uvarint count, each an event | accepted or refused as a whole
 *   event    | type 2 | version 1 | uvarint length | message |
 *
 * The hash of an entry is SHA-256 over all of it. Since it holds the hash of the entry before, it speaks for the whole log.
 * A checkpoint holds the image that the entries up to `seq` fold to:
 *
 *   file     | magic 8 | version 4 | seq 8 | hash 32 | length 8 | CRC-32C of the image 4 | CRC-32C of all before 4 | image |
 *   image    in the words of schemas/storage-image.ts
 *
 * A number here is never reused; a message grows by tagged fields, or by a version that readers get one release before
 * writers write it. An unknown type or version stops the reader: it must not guess what the cluster agreed on.
 */
import {
  array,
  boolean,
  bytes,
  int8,
  int32,
  int64,
  int64big,
  message,
  nullable,
  string,
  struct,
  tagged,
  uint16,
  uuid,
} from "../src/base/codec.ts";

export const entryFormat = 1;
export const hashBytes = 32;
/** Before the events. */
export const entryHeadBytes = 8 + 4 + 8 + 16 + hashBytes;

export const versions = [0, 0] as const;
export const flexible = 0;
export const configs = array(struct({ key: string, value: string }));
export const manifest = nullable(struct({ location: string, bytes: int64, rows: int64 }));
/** Lists the delete files of a round that changes rows; rounds of append tables have none. */
export const deletes = tagged(0, 0, manifest, null);
export const tableRange = struct({ partition: int32, from: int64, to: int64, skips: int64 });

/** By the kind of src/metadata/events.ts. */
export const eventSchemas = {
  "register-node": {
    type: 1,
    schema: message({
      name: "RegisterNode",
      versions,
      flexible,
      fields: { nodeId: int32, incarnation: uuid, host: string, port: int32, rack: nullable(string) },
    }),
  },
  "set-broker-configs": {
    type: 2,
    schema: message({
      name: "SetBrokerConfigs",
      versions,
      flexible,
      fields: { nodeId: nullable(struct({ id: int32 })), configs },
    }),
  },
  "allocate-producer-ids": {
    type: 3,
    schema: message({ name: "AllocateProducerIds", versions, flexible, fields: { count: int64 } }),
  },
  "unregister-node": {
    type: 4,
    schema: message({ name: "UnregisterNode", versions, flexible, fields: { nodeId: int32, epoch: int64 } }),
  },
  "fence-node": {
    type: 7,
    schema: message({ name: "FenceNode", versions, flexible, fields: { nodeId: int32, epoch: int64 } }),
  },
  "open-wal": {
    type: 8,
    schema: message({ name: "OpenWal", versions, flexible, fields: { slotsInFlightMax: int32 } }),
  },
  "advance-wal": {
    type: 9,
    schema: message({ name: "AdvanceWal", versions, flexible, fields: { nodeId: int32, epoch: int64, slot: int64 } }),
  },
  "create-topic": {
    type: 10,
    schema: message({
      name: "CreateTopic",
      versions,
      flexible,
      fields: { topicId: uuid, name: string, partitions: int32, configs },
    }),
  },
  "delete-topic": {
    type: 11,
    schema: message({ name: "DeleteTopic", versions, flexible, fields: { topicId: uuid } }),
  },
  "create-partitions": {
    type: 12,
    schema: message({ name: "CreatePartitions", versions, flexible, fields: { topicId: uuid, partitions: int32 } }),
  },
  "set-topic-configs": {
    type: 13,
    schema: message({ name: "SetTopicConfigs", versions, flexible, fields: { topicId: uuid, configs } }),
  },
  "open-streams": {
    type: 20,
    schema: message({ name: "OpenStreams", versions, flexible, fields: { streams: array(int64) } }),
  },
  "commit-object": {
    type: 21,
    schema: message({
      name: "CommitObject",
      versions,
      flexible,
      fields: {
        object: string,
        bytes: int64,
        /** 0: stream-set, 1: stream. */
        objectKind: int8,
        ranges: array(
          struct({ stream: int64, epoch: int32, from: int64, to: int64, bytes: int64, maxTimestamp: int64 }),
        ),
      },
    }),
  },
  "trim-streams": {
    type: 22,
    schema: message({
      name: "TrimStreams",
      versions,
      flexible,
      fields: { streams: array(struct({ stream: int64, start: int64 })) },
    }),
  },
  "objects-deleted": {
    type: 23,
    schema: message({ name: "ObjectsDeleted", versions, flexible, fields: { objects: array(string) } }),
  },
  "replace-ranges": {
    type: 24,
    schema: message({
      name: "ReplaceRanges",
      versions,
      flexible,
      fields: {
        object: string,
        bytes: int64,
        objectKind: int8,
        /** Keys, each once: many streams leave the same few objects. */
        replaced: array(string),
        ranges: array(
          struct({
            stream: int64,
            from: int64,
            to: int64,
            bytes: int64,
            maxTimestamp: int64,
            /** Indexes into `replaced`. */
            replaces: array(uint16),
          }),
        ),
      },
    }),
  },
  "create-table": {
    type: 30,
    schema: message({
      name: "CreateTable",
      versions,
      flexible,
      fields: { table: uuid, topicId: uuid, generation: int32, catalog: string, name: string },
    }),
  },
  "add-table-round": {
    type: 31,
    schema: message({
      name: "AddTableRound",
      versions,
      flexible,
      fields: {
        table: uuid,
        generation: int32,
        lane: string,
        schemaId: int32,
        specId: int32,
        mappingVersion: int32,
        ranges: array(tableRange),
        main: manifest,
        deadLetters: manifest,
        deletes,
      },
    }),
  },
  "table-rounds-committed": {
    type: 32,
    schema: message({
      name: "TableRoundsCommitted",
      versions,
      flexible,
      fields: { table: uuid, upTo: int64, snapshotId: nullable(struct({ id: int64big })) },
    }),
  },
  "table-schema": {
    type: 33,
    schema: message({
      name: "TableSchema",
      versions,
      flexible,
      fields: { table: uuid, expectedVersion: int32, schema: bytes },
    }),
  },
  "table-state": {
    type: 34,
    schema: message({
      name: "TableState",
      versions,
      flexible,
      /** Index into tableStates. */
      fields: { table: uuid, state: int8, reason: string },
    }),
  },
  "replace-table-round": {
    type: 35,
    schema: message({
      name: "ReplaceTableRound",
      versions,
      flexible,
      fields: {
        table: uuid,
        seq: int64,
        schemaId: int32,
        specId: int32,
        mappingVersion: int32,
        ranges: array(tableRange),
        main: manifest,
        deadLetters: manifest,
        deletes,
      },
    }),
  },
  "put-namespace": {
    type: 40,
    schema: message({
      name: "PutNamespace",
      versions,
      flexible,
      fields: { namespace: string, properties: configs, mustBeNew: boolean },
    }),
  },
  "drop-namespace": {
    type: 41,
    schema: message({ name: "DropNamespace", versions, flexible, fields: { namespace: string } }),
  },
  "set-facts": {
    type: 50,
    schema: message({
      name: "SetFacts",
      versions,
      flexible,
      fields: { facts: array(struct({ table: int8, key: string, value: nullable(string) })) },
    }),
  },
  "move-table-pointers": {
    type: 42,
    schema: message({
      name: "MoveTablePointers",
      versions,
      flexible,
      fields: {
        pointers: array(
          struct({ namespace: string, table: string, expected: nullable(string), location: nullable(string) }),
        ),
      },
    }),
  },
} as const;

/** Persisted as indexes: append only. */
export const objectKinds = ["stream-set", "stream"] as const;
export const tableStates = ["running", "paused", "diverged"] as const;

export const segmentMagic = "INLETLOG";
export const segmentVersion = 1;
export const checkpointMagic = "INLETCKP";
export const checkpointVersion = 1;
/** An entry as an object of its own: see src/metadata/object-log.ts. */
export const slotMagic = "INLETENT";
export const slotVersion = 1;
/** Entries 1 to this are the first block that a log in a bucket forgets as a whole. Part of the names: never changes. */
export const goneBlockEntries = 1024;
/** Persisted as indexes: append only. */
export const factTables = [
  "scram-credentials",
  "acls",
  "quotas",
  "delegation-tokens",
  "features",
  "group-configs",
  "client-metrics",
] as const;
/** Persisted as indexes: append only. */
export const refusalReasons = [
  "fenced",
  "exists",
  "missing",
  "gap",
  "stale-epoch",
  "stale-version",
  "invalid",
] as const;

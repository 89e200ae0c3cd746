/**
 * The image of the metadata as bytes, as a checkpoint holds it (schemas/storage.ts draws the file):
 *
 *   image    | format 2 | head | then, in the order of imageSchemas, for each: count 4, that many of them |
 *
 * Items are sorted by their first field, objects by when they were committed, so equal images are equal bytes.
 */
import {
  array,
  bytes,
  int8,
  int32,
  int64,
  message,
  nullable,
  string,
  struct,
  tagged,
  uuid,
} from "../src/base/codec.ts";
import { configs, deletes, flexible, manifest, tableRange, versions } from "./storage.ts";

export const imageFormat = 2;

const offsets = array(struct({ partition: int32, offset: int64 }));
const lanes = array(struct({ lane: string, offsets }));

export const imageHead = message({
  name: "ImageHead",
  versions,
  flexible,
  fields: {
    clusterId: uuid,
    seq: int64,
    hash: bytes,
    nextProducerId: int64,
    producerIdsAt: int64,
    nextStreamId: int64,
  },
});

/** What an image is made of. */
export const imageSchemas = {
  node: message({
    name: "ImageNode",
    versions,
    flexible,
    fields: {
      id: int32,
      epoch: int64,
      incarnation: uuid,
      host: string,
      port: int32,
      rack: nullable(string),
      wals: tagged(0, 0, array(struct({ epoch: int64, slot: int64, slotsInFlightMax: int32 })), []),
    },
  }),
  decisions: message({
    name: "ImageDecisions",
    versions,
    flexible,
    fields: {
      node: int32,
      /** Oldest first. */
      operations: array(
        struct({
          opId: uuid,
          seq: int64,
          refusals: array(nullable(struct({ reason: int8, detail: string, by: int64 }))),
        }),
      ),
    },
  }),
  brokerConfigs: message({
    name: "ImageBrokerConfigs",
    versions,
    flexible,
    fields: { node: nullable(struct({ id: int32 })), configs },
  }),
  topic: message({
    name: "ImageTopic",
    versions,
    flexible,
    fields: { id: uuid, name: string, partitions: array(int64), configs, predecessors: int32 },
  }),
  generation: message({ name: "ImageGeneration", versions, flexible, fields: { name: string, count: int32 } }),
  object: message({
    name: "ImageObject",
    versions,
    flexible,
    fields: {
      key: string,
      bytes: int64,
      kind: int8,
      node: int32,
      committedAt: int64,
      live: int32,
      /** 0: streams name it. */
      unreferencedSince: int64,
    },
  }),
  stream: message({
    name: "ImageStream",
    versions,
    flexible,
    fields: {
      id: int64,
      topicId: uuid,
      partition: int32,
      epoch: int32,
      node: nullable(struct({ id: int32 })),
      start: int64,
      end: int64,
      /** Packed (src/metadata/packed-range.ts); an object is told by its place among the objects, counted from 1. */
      ranges: bytes,
    },
  }),
  table: message({
    name: "ImageTable",
    versions,
    flexible,
    fields: {
      id: uuid,
      topicId: uuid,
      generation: int32,
      catalog: string,
      name: string,
      state: int8,
      reason: string,
      schemaVersion: int32,
      schema: bytes,
      pending: array(
        struct({
          seq: int64,
          nodeEpoch: int64,
          lane: string,
          schemaId: int32,
          specId: int32,
          mappingVersion: int32,
          ranges: array(tableRange),
          main: manifest,
          deadLetters: manifest,
          deletes,
        }),
      ),
      committedSeq: int64,
      lanes,
      committedLanes: lanes,
    },
  }),
  facts: message({
    name: "ImageFacts",
    versions,
    flexible,
    fields: { table: string, facts: array(struct({ key: string, value: string })) },
  }),
  namespace: message({
    name: "ImageNamespace",
    versions,
    flexible,
    fields: {
      name: string,
      properties: configs,
      tables: array(struct({ table: string, location: string })),
    },
  }),
} as const;

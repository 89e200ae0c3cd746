import { GiB, MiB, setting } from "../../src/base/settings.ts";

export const node = {
  nodeId: setting({
    key: "node.id",
    type: "integer",
    default: 1,
    min: 0,
    max: 2147483647,
    doc: "Id of this broker, unique in the cluster.",
  }),
  dataDirectory: setting({
    key: "data.directory",
    type: "string",
    default: "./data",
    doc: "Where the WAL, the metadata log of kind file and, unless object.store.url says otherwise, the objects live.",
  }),
  memoryBytesMax: setting({
    key: "memory.bytes.max",
    type: "bytes",
    default: 1 * GiB,
    min: 256 * MiB,
    doc: "Total that caches, budgets and request memory share.",
  }),
};

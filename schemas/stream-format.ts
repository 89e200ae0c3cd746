/**
 * What S3Stream writes: WAL groups to a disk, objects to a store. Big-endian, fields in the order of declaration, without
 * padding. A number here never changes its meaning; a new layout gets a new version.
 */

export type FieldType = "u32" | "i64" | "uuid";
export type Fields = Readonly<Record<string, FieldType>>;

export const walMagic = 0x494c5747; // "ILWG"
export const walVersion = 2;
/** Still read: its bodies have CRC-32C. */
export const walVersionBefore = 1;
/** Groups begin at multiples of this, so that a disk block that holds durable bytes is never written again. */
export const walAlignBytes = 4096;

/**
 * A group of records, written and synced as one:
 *
 *   | header | record table | batch bytes, back to back | zeros up to the next multiple of walAlignBytes |
 *            |------------- bodyBytes ---------------|
 */
export const walGroupHeader = {
  magic: "u32",
  version: "u32",
  /** Random, the same in all groups of one WAL: bytes that only look like a group do not have it. */
  walId: "i64",
  /** Of the node that wrote it. Never decreases from group to group. */
  epoch: "i64",
  /** One more than that of the group before. */
  seq: "i64",
  /** Of this header, counted from the first byte that the WAL ever held. */
  position: "i64",
  /** Every group that begins below was durable when this header was written. */
  durable: "i64",
  /** Records that end at or below were not needed any more: recovery begins at the segment that holds this position. */
  trimmed: "i64",
  /** headerCrc of the group before. */
  previousCrc: "u32",
  recordCount: "u32",
  bodyBytes: "u32",
  /** CRC-32 of the record table and the batch bytes. Of the batches alone there is CRC-32C already, in Kafka's header. */
  bodyCrc: "u32",
  /** CRC-32C of everything before it in this header. */
  headerCrc: "u32",
} as const satisfies Fields;

export const walRecordEntry = {
  stream: "i64",
  /** The end of the stream's batch before: recovery knows a lost record from an offset that was never written. */
  after: "i64",
  from: "i64",
  to: "i64",
  /** Milliseconds; -1 when none. */
  maxTimestamp: "i64",
  /** Of the stream. */
  epoch: "u32",
  bytes: "u32",
} as const satisfies Fields;

export const objectMagic = 0x494c4f42; // "ILOB"
export const objectVersion = 2;
export const blockMagic = 0x494c424b; // "ILBK"
export const footerMagic = 0x494c4654; // "ILFT"

/**
 * An object in the store, of one stream or of many; it can be read from the end, and salvaged from the front:
 *
 *   | object header | block ... block | sidecar ... sidecar | index | footer |
 *
 *   block    := | block header | frame entry ... | batch bytes, back to back |     of one stream, offsets ascending
 *   index    := | stream entry ... | block entry ... | label bytes ... |           entries sorted by (stream, from)
 *
 * Its sums are CRC-32, which is worked out twice as fast as the CRC-32C of Kafka's batches: each block is checked when it is read.
 */
export const objectHeader = {
  magic: "u32",
  version: "u32",
  cluster: "uuid",
  node: "u32",
  nodeEpoch: "i64",
  headerCrc: "u32",
} as const satisfies Fields;

export const blockHeader = {
  magic: "u32",
  stream: "i64",
  frameCount: "u32",
  /** Of the frame entries and the batches. */
  bytes: "u32",
  /** CRC-32 of the fields above and those bytes. */
  crc: "u32",
} as const satisfies Fields;

export const frameEntry = {
  from: "i64",
  to: "i64",
  maxTimestamp: "i64",
  bytes: "u32",
} as const satisfies Fields;

/** One stream of the object. [from, to) is coverage: blocks may leave offsets out, or there may be none. */
export const streamEntry = {
  stream: "i64",
  epoch: "u32",
  from: "i64",
  to: "i64",
  /** Its block entries are [firstBlock, firstBlock + blockCount). */
  firstBlock: "u32",
  blockCount: "u32",
  /** In the label bytes. */
  labelAt: "u32",
  labelBytes: "u32",
  /** 0 when the range carries no sidecar: the object begins with its header. */
  sidecarPosition: "i64",
  sidecarBytes: "u32",
  sidecarCrc: "u32",
} as const satisfies Fields;

export const blockEntry = {
  stream: "i64",
  from: "i64",
  to: "i64",
  maxTimestamp: "i64",
  position: "i64",
  /** Header included. */
  bytes: "u32",
} as const satisfies Fields;

export const objectFooter = {
  version: "u32",
  indexPosition: "i64",
  indexBytes: "u32",
  indexCrc: "u32",
  streamCount: "u32",
  blockCount: "u32",
  /** CRC-32 of the fields above. */
  footerCrc: "u32",
  magic: "u32",
} as const satisfies Fields;

export const slotMagic = 0x494c5753; // "ILWS"
export const slotVersion = 1;
/** Persisted as indexes: append only. */
export const slotKinds = ["records", "seal"] as const;

/**
 * A slot of a WAL in the object store, `wal/<node>/<epoch>/<seq>`: a stream-set object with one more header, so that it can
 * be committed as it is. A seal is the two headers alone; where one lies, the WAL has ended.
 *
 *   | object header | slot header | block ... block | index | footer |
 *                                 |---------- bodyBytes ------------|
 */
export const slotHeader = {
  magic: "u32",
  version: "u32",
  /** Index into slotKinds. */
  kind: "u32",
  /** Whose WAL it is: of a seal not who wrote it, whom the object header names. */
  node: "u32",
  epoch: "i64",
  /** From 0, one more than that of the slot before. */
  seq: "i64",
  /** Random: the writer knows its own slot from another's of the same name. */
  id: "uuid",
  /** The first 16 bytes of the SHA-256 of the slot header before; zeros in slot 0 and in a seal. */
  previous: "uuid",
  /** Every slot below was durable when this one was written. */
  durable: "i64",
  bodyBytes: "i64",
  /** CRC-32C of the body. */
  bodyCrc: "u32",
  /** CRC-32C of everything before it in this header. */
  headerCrc: "u32",
} as const satisfies Fields;

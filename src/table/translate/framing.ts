/**
 * How a record's key or value says which schema it is of, and where its data begins.
 *
 *   prefix   | 0 | schema id, 4 bytes, big-endian | data |     Confluent's wire format
 *   latest   | data |                                          the latest version of a subject, as the round met it
 */

export interface Framing {
  /** undefined when the bytes do not say. */
  schemaId(bytes: Uint8Array | null): number | undefined;
  readonly dataAt: number;
}

const prefixBytes = 5;

export const prefixFraming: Framing = {
  schemaId(bytes) {
    if (bytes === null || bytes.length < prefixBytes || bytes[0] !== 0) return undefined;
    return new DataView(bytes.buffer, bytes.byteOffset, prefixBytes).getUint32(1);
  },
  dataAt: prefixBytes,
};

/** `latest` is filled before the first record is read. */
export function latestFraming(latest: { readonly schemaId: number | undefined }): Framing {
  return { schemaId: () => latest.schemaId, dataAt: 0 };
}

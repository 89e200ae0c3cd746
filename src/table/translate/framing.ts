/**
 * How a record's key or value says which schema it is of, and where its data begins.
 *
 *   prefix   | 0 | schema id, 4 bytes, big-endian | data |       Confluent's wire format
 *            | 1 | GUID, 16 bytes | data |
 *   header   __value_schema_id: | 0 or 1 | id or GUID |          Confluent's too, of key or value; the value is data alone
 *   glue     | 3 | 0 or 5 | UUID, 16 bytes | data |              AWS Glue; 5: the data is deflated by zlib
 *   latest   | data |                                            the latest version of a subject, as the round met it
 *
 * Of Protobuf, which message it is stands between the id and the data: Confluent's indexes, in the header where the id is
 * there, or Glue's one index.
 */
import { inflateSync } from "node:zlib";
import { uuidFromBytes } from "../../base/ids.ts";
import { BadRecord } from "../decode/bad-record.ts";
import type { SchemaId } from "../schema/schema-map.ts";

/** One for the keys and one for the values of a round: it says where the parts of what was opened last lie. */
export interface Framing {
  /** undefined when the bytes do not say. Throws BadRecord for data that cannot be inflated. */
  schemaId(bytes: Uint8Array | null): SchemaId | undefined;
  readonly data: Uint8Array;
  readonly dataAt: number;
  /** Where a Protobuf message is named; undefined: nothing names it. */
  readonly message: MessageName | undefined;
  /** The record's headers may say the id. */
  readonly header: SchemaHeader | undefined;
}

export interface MessageName {
  readonly kind: "indexes" | "glue-index";
  readonly bytes: Uint8Array;
  readonly at: number;
  /** The data follows the name. */
  readonly isBeforeData: boolean;
}

/** Of the record that is read next. */
export interface SchemaHeader {
  /** Bytes of UTF-8. */
  readonly key: Uint8Array;
  value: Uint8Array | undefined;
}

const none = new Uint8Array(0);
const idEnd = 5;
const guidEnd = 17;

export class ConfluentFraming implements Framing {
  data: Uint8Array = none;
  dataAt = 0;
  readonly header: SchemaHeader;
  readonly #message = { kind: "indexes", bytes: none, at: 0, isBeforeData: true } as {
    -readonly [K in keyof MessageName]: MessageName[K];
  };
  readonly #guids = new UuidTexts();

  constructor(part: "key" | "value") {
    this.header = { key: new TextEncoder().encode(`__${part}_schema_id`), value: undefined };
  }

  get message(): MessageName {
    return this.#message;
  }

  schemaId(bytes: Uint8Array | null): SchemaId | undefined {
    if (bytes === null) return undefined;
    const { value } = this.header;
    const named = value ?? bytes;
    const end = named[0] === 0 ? idEnd : named[0] === 1 ? guidEnd : 0;
    if (end === 0 || named.length < end) return undefined;
    this.data = bytes;
    this.dataAt = value === undefined ? end : 0;
    this.#message.bytes = named;
    this.#message.at = end;
    this.#message.isBeforeData = value === undefined;
    return end === guidEnd
      ? this.#guids.at(named, 1)
      : (((named[1] as number) << 24) |
          ((named[2] as number) << 16) |
          ((named[3] as number) << 8) |
          (named[4] as number)) >>>
          0;
  }
}

const glueHeadBytes = 18;

export class GlueFraming implements Framing {
  data: Uint8Array = none;
  dataAt = 0;
  readonly header = undefined;
  readonly #inflatedBytesMax: number;
  readonly #ids = new UuidTexts();

  constructor(inflatedBytesMax: number) {
    this.#inflatedBytesMax = inflatedBytesMax;
  }

  get message(): MessageName {
    return { kind: "glue-index", bytes: this.data, at: this.dataAt, isBeforeData: true };
  }

  schemaId(bytes: Uint8Array | null): SchemaId | undefined {
    if (bytes === null || bytes.length < glueHeadBytes || bytes[0] !== 3) return undefined;
    if (bytes[1] !== 0 && bytes[1] !== 5) throw new BadRecord("malformed", `Glue has no compression ${bytes[1]}`);
    const isDeflated = bytes[1] === 5;
    this.data = isDeflated ? this.#inflate(bytes.subarray(glueHeadBytes)) : bytes;
    this.dataAt = isDeflated ? 0 : glueHeadBytes;
    return this.#ids.at(bytes, 2);
  }

  #inflate(data: Uint8Array): Uint8Array {
    try {
      return inflateSync(data, { maxOutputLength: this.#inflatedBytesMax });
    } catch (cause) {
      throw new BadRecord("malformed", `zlib: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
}

export class LatestFraming implements Framing {
  data: Uint8Array = none;
  readonly dataAt = 0;
  readonly message = undefined;
  readonly header = undefined;
  /** Filled before the first record is read. */
  readonly #latest: { readonly schemaId: SchemaId | undefined };

  constructor(latest: { readonly schemaId: SchemaId | undefined }) {
    this.#latest = latest;
  }

  schemaId(bytes: Uint8Array | null): SchemaId | undefined {
    if (bytes !== null) this.data = bytes;
    return this.#latest.schemaId;
  }
}

/** The text of the last one is kept: records in a row are mostly of one schema. */
class UuidTexts {
  #bytes: Uint8Array = none;
  #text = "";

  at(bytes: Uint8Array, start: number): string {
    const known = this.#bytes;
    let isSame = known.length === 16;
    for (let at = 0; isSame && at < 16; at += 1) isSame = bytes[start + at] === known[at];
    if (!isSame) {
      this.#bytes = Uint8Array.from(bytes.subarray(start, start + 16));
      this.#text = uuidFromBytes(this.#bytes);
    }
    return this.#text;
  }
}

interface HeadersOfRecord {
  readonly headerCount: number;
  headers(): readonly { readonly key: Uint8Array; readonly value: Uint8Array | null }[];
}

/** Hands each framing what the record's headers say of its schema: the last one of the name, as Confluent's clients read them. */
export function readSchemaHeaders(framings: readonly (SchemaHeader | undefined)[], record: HeadersOfRecord): void {
  for (const header of framings) if (header !== undefined) header.value = undefined;
  if (record.headerCount === 0) return;
  for (const { key, value } of record.headers()) {
    for (const header of framings) {
      if (header === undefined || !isSame(header.key, key)) continue;
      header.value = value ?? undefined;
    }
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}

/** Why a record becomes a dead letter instead of a row. Written into the dead-letter table, so codes are never renamed. */

export type BadRecordReason =
  /** The value does not begin with a schema id (a zero byte and four more). */
  | "no-schema-id"
  /** The schema id's schema cannot be mapped to this table, or does not exist. */
  | "schema-refused"
  /** The bytes end too soon, go on too long, or do not say what the schema says. */
  | "malformed"
  | "invalid-utf8"
  /** A JSON value is not of the type that its schema declares. */
  | "type-mismatch"
  /** A number, date or decimal that its column cannot hold. */
  | "out-of-range"
  /** Nothing says which row the record means. */
  | "no-key"
  /** The value is no envelope of the kind that the table reads, or says nothing that it knows. */
  | "bad-envelope"
  /** The envelope asks for what a table cannot do. */
  | "unsupported-op";

/** Thrown by decoders and caught where a row ends: everything that the row wrote is then taken back. */
export class BadRecord extends Error {
  override readonly name = "BadRecord";
  readonly reason: BadRecordReason;

  constructor(reason: BadRecordReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** What an id stands for: the same content has one id, whatever subjects hold it. */

export interface Reference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

/** "AVRO", "JSON", "PROTOBUF", or what another registry wrote: kept and served, not registered. */
export type SchemaType = string;

export interface SchemaContent {
  readonly schemaType: SchemaType;
  /** Canonical. */
  readonly schema: string;
  readonly references: readonly Reference[];
}

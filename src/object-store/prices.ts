/** What requests cost, by the classes in which S3, Cloud Storage and Azure Blob sell them. */

export type RequestName =
  | "put"
  | "put-if-absent"
  | "put-if-match"
  | "get"
  | "head"
  | "list"
  | "delete"
  | "multipart-create"
  | "multipart-part"
  | "multipart-complete"
  | "multipart-abort";

/** PUT, COPY, POST and LIST cost more than ten times what GET and all others do; deletes and aborts are free at AWS. */
export const requestClass: Readonly<Record<RequestName, "write" | "read" | "delete">> = {
  put: "write",
  "put-if-absent": "write",
  "put-if-match": "write",
  get: "read",
  head: "read",
  list: "write",
  delete: "delete",
  "multipart-create": "write",
  "multipart-part": "write",
  "multipart-complete": "write",
  "multipart-abort": "delete",
};

interface RequestPrice {
  readonly perRequestNanodollars: number;
}

interface TrafficPrice {
  readonly perGibNanodollars: number;
}

export interface StorePrices {
  readonly write: RequestPrice;
  readonly read: RequestPrice;
  readonly delete: RequestPrice;
  /** Bytes sent to the store. */
  readonly in: TrafficPrice;
  /** Bytes that came out of it. */
  readonly out: TrafficPrice;
}

export function dollarsOf(nanodollars: number): number {
  return nanodollars / 1e9;
}

/** S3 lists, and deletes, 1000 keys a request; nothing to list is one too. */
const pageKeysMax = 1000;

export function pagesOf(keys: number): number {
  return Math.max(1, Math.ceil(keys / pageKeysMax));
}

/** Page views of 12 columns in each of the formats that both sides read, with the schema that the registry keeps of it. */
import avsc from "avsc";
import protobuf from "protobufjs";
import { seededRandom } from "../test/support/seeded.ts";

export const sinkFormats = ["avro", "json-schema", "json", "protobuf"] as const;
export type SinkFormat = (typeof sinkFormats)[number];

export interface PageView {
  readonly event_id: string;
  readonly user_id: number;
  readonly session_id: string;
  readonly event_type: string;
  readonly url: string;
  readonly referrer: string | null;
  readonly event_ts: number;
  readonly duration_ms: number | null;
  readonly price: number | null;
  readonly is_bot: boolean;
  readonly device: { readonly os: string; readonly browser: string; readonly screen_w: number };
  readonly tags: readonly string[];
}

const avroSchema = {
  type: "record",
  name: "PageView",
  fields: [
    { name: "event_id", type: "string" },
    { name: "user_id", type: "long" },
    { name: "session_id", type: "string" },
    { name: "event_type", type: "string" },
    { name: "url", type: "string" },
    { name: "referrer", type: ["null", "string"] },
    { name: "event_ts", type: "long" },
    { name: "duration_ms", type: ["null", "int"] },
    { name: "price", type: ["null", "double"] },
    { name: "is_bot", type: "boolean" },
    {
      name: "device",
      type: {
        type: "record",
        name: "Device",
        fields: [
          { name: "os", type: "string" },
          { name: "browser", type: "string" },
          { name: "screen_w", type: "int" },
        ],
      },
    },
    { name: "tags", type: { type: "array", items: "string" } },
  ],
} as const;

const text = { type: "string" };
const jsonSchema = {
  type: "object",
  properties: {
    event_id: text,
    user_id: { type: "integer" },
    session_id: text,
    event_type: text,
    url: text,
    referrer: { type: ["string", "null"] },
    event_ts: { type: "integer" },
    duration_ms: { type: ["integer", "null"] },
    price: { type: ["number", "null"] },
    is_bot: { type: "boolean" },
    device: { type: "object", properties: { os: text, browser: text, screen_w: { type: "integer" } } },
    tags: { type: "array", items: text },
  },
};

/** The Java side builds the same message by hand: SinkConverters.java. */
const protobufSchema = `syntax = "proto3";
message PageView {
  string event_id = 1;
  int64 user_id = 2;
  string session_id = 3;
  string event_type = 4;
  string url = 5;
  optional string referrer = 6;
  int64 event_ts = 7;
  optional int32 duration_ms = 8;
  optional double price = 9;
  bool is_bot = 10;
  Device device = 11;
  repeated string tags = 12;
  message Device {
    string os = 1;
    string browser = 2;
    int32 screen_w = 3;
  }
}
`;

/** As the registry takes it; null for records that carry no schema. */
export const sinkSchemas: Readonly<
  Record<SinkFormat, { readonly schemaType: string; readonly schema: string } | null>
> = {
  avro: { schemaType: "AVRO", schema: JSON.stringify(avroSchema) },
  "json-schema": { schemaType: "JSON", schema: JSON.stringify(jsonSchema) },
  json: null,
  protobuf: { schemaType: "PROTOBUF", schema: protobufSchema },
};

/** Confluent's prefix (a zero, the id in four bytes; of Protobuf the message's index too) and the row. */
export function sinkEncoder(format: SinkFormat, schemaId: number): (row: PageView) => Buffer {
  const prefix = Buffer.from([0, 0, 0, 0, 0]);
  prefix.writeInt32BE(schemaId, 1);
  switch (format) {
    case "json":
      return (row) => Buffer.from(JSON.stringify(row));
    case "json-schema":
      return (row) => Buffer.concat([prefix, Buffer.from(JSON.stringify(row))]);
    case "avro": {
      const type = avsc.Type.forSchema(avroSchema as never);
      return (row) => Buffer.concat([prefix, type.toBuffer(row)]);
    }
    case "protobuf": {
      const type = protobuf.parse(protobufSchema, { keepCase: true }).root.lookupType("PageView");
      const firstMessage = Buffer.from([0]);
      const present = (row: PageView) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
      return (row) => Buffer.concat([prefix, firstMessage, type.encode(type.create(present(row))).finish()]);
    }
  }
}

export function sinkRows(count: number): readonly PageView[] {
  const random = seededRandom(42);
  const below = (bound: number): number => Math.floor(random.unit() * bound);
  const hex = (digits: number): string => Array.from({ length: digits }, () => below(16).toString(16)).join("");
  const skewed = (bound: number): number => Math.floor(random.unit() ** 3 * bound);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  return Array.from({ length: count }, (_, at) => ({
    event_id: `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
    user_id: 10_000_000 + skewed(100_000),
    session_id: `s-${(1e9 + below(200_000)).toString(36)}`,
    event_type: pick(["view", "click", "scroll", "buy", "cart", "login", "logout", "search"]),
    url: `https://shop.example.com/p/${skewed(5000)}${random.unit() < 0.25 ? `?ref=${hex(8)}` : ""}`,
    referrer: random.unit() < 0.4 ? null : `https://search.example.org/?q=${skewed(3000)}`,
    event_ts: 1_700_000_000_000_000 + at * 1370 + below(1000),
    duration_ms: random.unit() < 0.1 ? null : skewed(60_000),
    price: random.unit() < 0.8 ? null : (1 + below(100_000)) / 100,
    is_bot: random.unit() < 0.05,
    device: {
      os: pick(["ios", "android", "windows", "macos", "linux"]),
      browser: pick(["chrome", "safari", "firefox", "edge"]),
      screen_w: pick([360, 390, 768, 1280, 1440, 1920, 2560]),
    },
    tags: Array.from({ length: below(5) }, () => pick(["new", "sale", "home", "kids", "sport", "garden", "vip"])),
  }));
}

/** The blocks `key` and `value` of a topic: how they are decoded, and where their fields lie. */
import type { TableSettings } from "../table/settings.ts";
import { object, oneOf, optionalText, type ValueOf } from "./shape.ts";

const decodes = ["schema-id", "latest", "json", "raw", "string"] as const;
const message = "Of latest: full name of the Protobuf message that they are; null is the schema's first.";

export const valueShape = object(
  "How values become columns.",
  {
    decode: oneOf(decodes, {
      default: "schema-id",
      doc: "schema-id reads Confluent's prefix (Avro, JSON Schema, Protobuf), latest takes the subject's latest schema for values without a prefix, json infers columns, string and raw make one column.",
    }),
    message: optionalText({ doc: message }),
    subject: optionalText({ doc: "Subject of the Schema Registry; null is <topic>-value." }),
    layout: oneOf(["flat", "nested"], {
      default: "flat",
      doc: "Of records: flat makes each field a column, nested makes one column `value`, a struct. Fixed once the table is made.",
    }),
    on_type_change: oneOf(["dead-letter", "new-column"], {
      default: "dead-letter",
      doc: "What becomes of a field whose new type its column cannot take: dead-letter refuses records of that schema, new-column gives the field a second column, <name>__2.",
    }),
  },
  ["on_unknown_field"],
);

export const keyShape = object("How keys become columns.", {
  decode: oneOf(decodes, {
    default: "raw",
    doc: "As value.decode; whole numbers of json are long. What a column of the key cannot take makes the record a dead letter.",
  }),
  message: optionalText({ doc: message }),
  subject: optionalText({ doc: "Subject of the Schema Registry; null is <topic>-key." }),
  columns: oneOf(["auto", "flat", "nested"], {
    default: "auto",
    doc: "Of keys with fields: nested makes one column, <prefix>_key, flat one of each field, <prefix>_key_<field>. auto is nested, or flat where the Kafka key identifies rows. Fixed once the table is made.",
  }),
});

export function valueSettings(value: ValueOf<typeof valueShape>): TableSettings["value"] {
  return {
    ...decoding(value),
    subject: value.subject,
    onTypeChange: value.on_type_change,
    ...(value.layout === "flat" ? {} : { layout: value.layout }),
  };
}

export function keySettings(key: ValueOf<typeof keyShape>): TableSettings["key"] {
  return {
    ...decoding(key),
    ...(key.subject === null ? {} : { subject: key.subject }),
    ...(key.columns === "auto" ? {} : { columns: key.columns }),
  };
}

type Part = Pick<ValueOf<typeof valueShape>, "decode" | "message">;

function decoding(part: Part): Pick<TableSettings["value"], "decode" | "latest"> {
  return part.decode === "latest"
    ? { decode: "schema-id", latest: { message: part.message } }
    : { decode: part.decode };
}

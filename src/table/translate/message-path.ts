/** Which message of a Protobuf schema a record is, as its framing names it. */
import type { ProtobufFile, ProtobufMessage } from "../../registry/protobuf-schema.ts";
import { BadRecord } from "../decode/bad-record.ts";
import { readMessagePath } from "../decode/protobuf.ts";
import { ProtobufReader } from "../decode/protobuf-reader.ts";
import type { MessagePath } from "../schema/schema-map.ts";
import type { Framing } from "./framing.ts";

export interface NamedMessage {
  readonly path: MessagePath;
  /** At the data. One for all records. */
  readonly reader: ProtobufReader;
}

/** The framing after it was asked for the id. Throws BadRecord. */
export type NameMessage = (framing: Framing) => NamedMessage;

/** `latest`: the name that people gave, where nothing in the record names the message. */
export function compileMessageName(file: ProtobufFile, latest: string | null | undefined): NameMessage {
  const path = latest === undefined ? undefined : latestMessage(file, latest);
  // Glue counts the messages of a file, those inside others too, in the order of their full names.
  const byName = placed(file.messages, []).toSorted((a, b) => (a.message.name < b.message.name ? -1 : 1));
  const reader = new ProtobufReader(new Uint8Array(0), 0);
  return ({ data, dataAt, message }) => {
    if (path !== undefined) {
      reader.reset(data, dataAt);
      return { path, reader };
    }
    if (message === undefined) throw new BadRecord("malformed", "nothing names the record's message");
    reader.reset(message.bytes, message.at);
    const named = message.kind === "indexes" ? readMessagePath(reader) : byName[reader.readUint32()]?.path;
    if (named === undefined) throw new BadRecord("malformed", "the schema has no message of that index");
    if (!message.isBeforeData) reader.reset(data, dataAt);
    return { path: named, reader };
  };
}

/** Before the schema is known, which may not be Protobuf; undefined where it cannot be told yet. */
export function likelyMessage({ message }: Framing): MessagePath | undefined {
  if (message?.kind !== "indexes") return undefined;
  try {
    return readMessagePath(new ProtobufReader(message.bytes, message.at));
  } catch (cause) {
    if (cause instanceof BadRecord) return undefined;
    throw cause;
  }
}

function latestMessage(file: ProtobufFile, name: string | null): MessagePath {
  if (name === null) return [0];
  const found = placed(file.messages, []).find(({ message }) => message.name === name);
  if (found === undefined) throw new BadRecord("schema-refused", `the latest schema has no message ${name}`);
  return found.path;
}

interface Placed {
  readonly message: ProtobufMessage;
  readonly path: MessagePath;
}

function placed(messages: readonly ProtobufMessage[], above: MessagePath): readonly Placed[] {
  return messages.flatMap((message, index) => {
    const path = [...above, index];
    return [{ message, path }, ...placed(message.messages, path)];
  });
}

/** Which message records are of when nothing in them says so. Throws BadRecord when there is none of that name. */
import type { ProtobufFile, ProtobufMessage } from "../../registry/protobuf-schema.ts";
import { BadRecord } from "../decode/bad-record.ts";
import type { MessagePath } from "../schema/schema-map.ts";

export function latestMessage(file: ProtobufFile, name: string | null): MessagePath {
  if (name === null) return [0];
  const find = (messages: readonly ProtobufMessage[], above: MessagePath): MessagePath | undefined => {
    for (const [index, message] of messages.entries()) {
      const path = [...above, index];
      const found = message.name === name ? path : find(message.messages, path);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const found = find(file.messages, []);
  if (found === undefined) throw new BadRecord("schema-refused", `the latest schema has no message ${name}`);
  return found;
}

/** The registry's log as the internal topic `_schemas`. */
import type { StateLog } from "../log/state-log.ts";
import type { SchemaLog } from "./schema-registry.ts";

export function schemaTopic(log: StateLog): SchemaLog {
  const encoder = new TextEncoder();
  return {
    async append(key, value) {
      await log.append([{ key: encoder.encode(key), value: value === null ? null : encoder.encode(value) }]);
    },
    async *replay() {
      const decoder = new TextDecoder();
      for await (const { key, value } of log.replay()) {
        yield { key: decoder.decode(key), value: value === null ? null : decoder.decode(value) };
      }
    },
  };
}

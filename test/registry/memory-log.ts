/** A `_schemas` topic in memory that compacts like Kafka's, and can be told to fail. */

import type { RegistryRecord } from "../../src/registry/registry-record.ts";
import type { SchemaLog } from "../../src/registry/schema-registry.ts";

export class MemorySchemaLog implements SchemaLog {
  readonly records: RegistryRecord[] = [];
  /** What the next append does: fails before, or after it took effect. */
  failNext: "before" | "after" | undefined;

  append(key: string, value: string | null): Promise<void> {
    const failing = this.failNext;
    this.failNext = undefined;
    if (failing !== "before") this.records.push({ key, value });
    return failing === undefined ? Promise.resolve() : Promise.reject(new Error("the store is away"));
  }

  async *replay(): AsyncIterable<RegistryRecord> {
    yield* this.records;
  }

  /** Keeps the last record of each key, and forgets tombstones. */
  compact(): void {
    const last = new Map(this.records.map((record) => [record.key, record]));
    const kept = this.records.filter((record) => last.get(record.key) === record && record.value !== null);
    this.records.splice(0, this.records.length, ...kept);
  }
}

/** A `_schemas` topic in memory that compacts like Kafka's, and can be told to fail. */

import type { LoggedRecord } from "../../src/registry/registry-record.ts";
import type { SchemaLog } from "../../src/registry/schema-registry.ts";

export class MemorySchemaLog implements SchemaLog {
  readonly records: LoggedRecord[] = [];
  /** What the next append does: fails before, or after it took effect. */
  failNext: "before" | "after" | undefined;
  /** After so many appends one fails before it takes effect. */
  failAfter = Number.POSITIVE_INFINITY;

  append(key: string, value: string | null): Promise<number> {
    this.failAfter -= 1;
    const failing = this.failAfter === -1 ? "before" : this.failNext;
    this.failNext = undefined;
    // A clock that moves on by one with each record.
    const timestampMs = (this.records.at(-1)?.timestampMs ?? 0) + 1;
    if (failing !== "before") this.records.push({ key, value, timestampMs });
    return failing === undefined ? Promise.resolve(timestampMs) : Promise.reject(new Error("the store is away"));
  }

  async *replay(): AsyncIterable<LoggedRecord> {
    yield* this.records;
  }

  /** Keeps the last record of each key, and forgets tombstones. */
  compact(): void {
    const last = new Map(this.records.map((record) => [record.key, record]));
    const kept = this.records.filter((record) => last.get(record.key) === record && record.value !== null);
    this.records.splice(0, this.records.length, ...kept);
  }
}

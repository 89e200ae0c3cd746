/** Proves: retention leaves what the lake does not hold, from the first moment on and after a new start of the table. */
import { describe, expect, test } from "vitest";
import type { Offset, Uuid } from "../../src/base/ids.ts";
import { type LakeTable, lakeTables, retentionHold } from "../../src/table/retention-hold.ts";
import { addTopic, MemoryMetadataLog } from "../support/memory-metadata.ts";
import { tableSettings } from "./translate-fixtures.ts";

const topicId = "00000000-0000-4000-8000-000000000001" as Uuid;
const at = { topicId, partition: 0 };
const orders = lakeTables([tableSettings("json", { retention: "wait" })]);
const from = (offset: number, waits = true) => ({ upTo: offset, waits });

function world(): MemoryMetadataLog {
  const log = new MemoryMetadataLog();
  addTopic(log, "orders", topicId, 2);
  return log;
}

function table(log: MemoryMetadataLog, generation: number, committedTo: number): void {
  const id = `00000000-0000-4000-8000-00000000010${generation}` as Uuid;
  const name = `kafka.orders__g${generation}`;
  log.apply([{ kind: "create-table", table: id, topicId, generation, catalog: "main", name }]);
  if (committedTo === 0) return;
  const ranges = [{ partition: 0, from: 0 as Offset, to: committedTo as Offset, skips: committedTo }];
  const round = { schemaId: 0, specId: 0, mappingVersion: 0, main: null, deadLetters: null, deletes: null };
  const added = log.apply([{ kind: "add-table-round", table: id, generation, lane: "live", ...round, ranges }]);
  if (added.kind === "refused") throw new Error(added.refusal.reason);
  log.apply([{ kind: "table-rounds-committed", table: id, upTo: added.seq, snapshotId: null }]);
}

describe("retention", () => {
  test("is free where the topic becomes no table, and where there is no such topic", () => {
    const { image } = world();
    expect(retentionHold(image, () => undefined, at)).toBeUndefined();
    expect(retentionHold(image, orders, { ...at, topicId: at.topicId.replace("1", "2") as Uuid })).toBeUndefined();
  });

  test("leaves everything before the table exists, and what is not committed", () => {
    const log = world();
    expect(retentionHold(log.image, orders, at)).toEqual(from(0));
    table(log, 1, 10);
    expect(retentionHold(log.image, orders, at)).toEqual(from(10));
    expect(retentionHold(log.image, orders, { ...at, partition: 1 })).toEqual(from(0));
  });

  test("waits, counts or does not look, as the topic says", () => {
    const log = world();
    table(log, 1, 10);
    const by = (retention: LakeTable["retention"]) =>
      retentionHold(log.image, lakeTables([tableSettings("json", { retention })]), at);
    expect(by("wait")).toEqual(from(10));
    expect(by("alarm")).toEqual(from(10, false));
    expect(by("off")).toBeUndefined();
  });

  test("leaves what a newer generation of the table lacks", () => {
    const log = world();
    table(log, 1, 10);
    table(log, 2, 0);
    expect(retentionHold(log.image, orders, at)).toEqual(from(0));
  });
});

/** A topic whose table has another one built beside it: what tests of building one and of adopting one share. */
import type { Runtime } from "../../src/base/runtime.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { tableSettings, utf8 } from "../table/translate-fixtures.ts";
import { Lake } from "./lake.ts";

export const ownTable = { namespace: ["sales"], name: "orders" };
export const besideTable = { namespace: ["sales"], name: "orders_v2" };
/** Of the topic's own table. */
export const ownSettings = tableSettings("json");
export const all = { from: "earliest", bytesPerSecond: null } as const;

export const json = (value: unknown) => ({ key: utf8("k"), value: utf8(JSON.stringify(value)) });

/** The topic's own table is the one that was built beside it. */
export function named(of: TableSettings, changes: Partial<TableSettings["errors"]> = {}): TableSettings {
  return { ...of, table: "orders_v2", errors: { ...of.errors, deadLetterTable: "orders_v2_dlq", ...changes } };
}

/** What was there first, of two partitions, and is in the topic's own table. */
export const firstPlaces = ["0:0", "0:1", "0:2", "0:3", "1:0"];
/** And what came since. */
export const allPlaces = ["0:0", "0:1", "0:2", "0:3", "0:4", "1:0", "1:1"];

export async function lakeWithOwn(
  seed: number,
  of = ownSettings,
  limits: Parameters<Lake["open"]>[1] = {},
  runtime: Partial<Runtime> = {},
) {
  const lake = new Lake(seed, runtime);
  const topic = lake.topic("orders", 2);
  for (let id = 0; id < 4; id += 1) await lake.produce(topic, 0, [json({ id })]);
  await lake.produce(topic, 1, [json({ id: 9 })]);
  const { compactor, metadata } = lake.open([of], limits);
  await compactor.flush("orders");
  return { lake, topic, compactor, metadata };
}

/** The second holds what there was first; the topic's own two records more. `isWhole`: else its backfill has still to come to that. */
export async function lakeWithBeside(
  seed: number,
  of = ownSettings,
  { isWhole = true, runtime = {} }: { readonly isWhole?: boolean; readonly runtime?: Partial<Runtime> } = {},
) {
  const { lake, topic, compactor } = await lakeWithOwn(seed, of, { roundBytesMax: 1 }, runtime);
  await compactor.startBackfill("orders", all, "orders_v2");
  if (isWhole) await finish(compactor);
  await lake.produce(topic, 0, [json({ id: 4 })]);
  await lake.produce(topic, 1, [json({ id: 10 })]);
  await compactor.flush("orders");
  await compactor[Symbol.asyncDispose]();
  return { lake, topic };
}

/** Until no table of the topic has any history to bring in. Throws what keeps one from it. */
export async function finish(compactor: Compactor): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) {
    const { beside, backfill } = await compactor.report("orders");
    const running = [backfill, ...beside.map((table) => table.backfill)].filter((each) => each !== null);
    const stopped = running.find(({ trouble }) => trouble !== null);
    if (stopped !== undefined) throw new Error(stopped.trouble ?? "");
    if (running.every(({ state }) => state === "done")) return;
    await compactor.advanceBackfill("orders");
    await compactor.flush("orders");
  }
  throw new Error("it does not end");
}

/**
 * Proves: a table that is committed to for weeks stays small. Metadata, manifests of a list and objects in the warehouse
 * are bounded by what the settings keep; and every snapshot that is kept can still be read.
 */
import { expect, test } from "vitest";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import { readManifest } from "../../src/table/iceberg/manifest.ts";
import { readManifestList } from "../../src/table/iceberg/manifest-list.ts";
import { renderMetadata } from "../../src/table/iceberg/metadata-json.ts";
import { Lake } from "../support/lake.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const commits = Number(process.env["INLET_GROWTH_COMMITS"] ?? 400);
const hourMs = 3_600_000;
const everyMs = (240 * hourMs) / commits;
const keepMs = 48 * hourMs;

test(`${commits} commits over ten simulated days keep the table bounded`, { timeout: 600_000 }, async () => {
  const clock = new ManualClock(Date.UTC(2030, 0));
  const lake = new Lake(1, { clock });
  const topic = lake.topic("orders", 2);
  const settings = tableSettings("json", { expire: { keepMs, keepMin: 10 } });
  const { compactor } = lake.open([settings]);
  const most = { metadataBytes: 0, manifests: 0, snapshots: 0, besides: 0 };
  for (let commit = 0; commit < commits; commit += 1) {
    await lake.produce(topic, commit % 2, [{ value: utf8(JSON.stringify({ id: commit, name: `order ${commit}` })) }]);
    await compactor.flush("orders");
    clock.advance(everyMs);
    if (commit % 97 !== 96) continue;
    const { metadata } = (await lake.foreign().load(orders)) ?? {};
    if (metadata === undefined) throw new Error("the table is gone");
    const current = metadata.snapshots.at(-1);
    const list = await readManifestList(await lake.warehouse.read(current?.["manifest-list"] ?? ""), "list");
    const objects = await countObjects(lake);
    most.metadataBytes = Math.max(most.metadataBytes, Buffer.byteLength(renderMetadata(metadata)));
    most.manifests = Math.max(most.manifests, list.length);
    most.snapshots = Math.max(most.snapshots, metadata.snapshots.length);
    most.besides = Math.max(most.besides, objects - (commit + 1)); // One data file a commit stays for good.
  }
  process.stdout.write(`${commits} commits of ${everyMs / 60_000} min: at most ${JSON.stringify(most)}\n`);
  expect(most.metadataBytes).toBeLessThan(1_000_000);
  expect(most.manifests).toBeLessThanOrEqual(101);
  // Every commit of 6 hours, then one an hour to 2 days, and what one commit expires at most is left of.
  expect(most.snapshots).toBeLessThanOrEqual((6 * hourMs) / everyMs + keepMs / hourMs + 10);
  // A list a snapshot, the manifests of the days that are kept and of the current list, a hundred metadata files, and some
  // that wait for their grace.
  expect(most.besides).toBeLessThanOrEqual(most.snapshots + keepMs / everyMs + 101 + 101 + 20);
  expect(await lake.places(orders)).toHaveLength(commits);
  await requireReadable(lake);
  await compactor[Symbol.asyncDispose]();
});

async function countObjects(lake: Lake): Promise<number> {
  let count = 0;
  for await (const _object of lake.store.list("")) count += 1;
  return count;
}

/** Time travel: each snapshot's list, manifests and data files are there, as many as its summary says. */
async function requireReadable(lake: Lake): Promise<void> {
  const loaded = await lake.foreign().load(orders);
  if (loaded === undefined) throw new Error("the table is gone");
  const { metadata } = loaded;
  const table = { schema: currentSchema(metadata), specs: metadata["partition-specs"] };
  for (const snapshot of metadata.snapshots) {
    let files = 0;
    for (const manifest of await readManifestList(await lake.warehouse.read(snapshot["manifest-list"]), "list")) {
      const { entries } = await readManifest(await lake.warehouse.read(manifest.path), manifest.path, table);
      files += entries.length;
    }
    expect(files, `snapshot ${snapshot["snapshot-id"]}`).toBe(Number(snapshot.summary["total-data-files"]));
  }
}

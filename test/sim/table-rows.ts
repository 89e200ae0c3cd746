/** The rows of the simulated tables, read from their Parquet files by somebody else's reader. */
import { zstdDecompressSync } from "node:zlib";
import { parquetReadObjects } from "hyparquet";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import type { TableRow } from "./history.ts";
import { deadLetters, jsonTopic, lakeRoot, type SimNode, textTopic } from "./node.ts";

type Row = Readonly<Record<string, unknown>>;

export async function readTableRows(node: SimNode, lake: ObjectStore): Promise<readonly TableRow[]> {
  const [text, json, bad] = await Promise.all(
    [textTopic, jsonTopic, deadLetters].map(async (table) => await readRows(lake, await node.filesOf(table))),
  );
  return [
    ...(text ?? []).map((row) => place(textTopic, row, String(row["value"]))),
    ...(json ?? []).map((row) => place(jsonTopic, row, jsonOf(row))),
    ...(bad ?? []).map((row) => ({
      partition: `${jsonTopic}-${Number(row["partition"])}`,
      offset: Number(row["offset"]),
      value: Buffer.from(row["value"] as Uint8Array).toString(),
    })),
  ];
}

const compressors = { ZSTD: (input: Uint8Array): Uint8Array => new Uint8Array(zstdDecompressSync(input)) };

export async function readRows(lake: ObjectStore, files: readonly string[]): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const uri of files) {
    const bytes = await lake.get(uri.slice(lakeRoot.length + 1));
    rows.push(...(await parquetReadObjects({ file: bytes.slice().buffer, compressors, utf8: false })));
  }
  return rows;
}

function place(topic: string, row: Row, value: string): TableRow {
  return { partition: `${topic}-${Number(row["_kafka_partition"])}`, offset: Number(row["_kafka_offset"]), value };
}

/** The text that the producer sent, put together again from the columns. */
function jsonOf(row: Row): string {
  const grown = Object.entries(row).filter(
    ([name, value]) => /^f\d+$/.test(name) && value !== null && value !== undefined,
  );
  return JSON.stringify({ v: row["v"], ...Object.fromEntries(grown) });
}

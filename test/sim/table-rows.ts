/** The rows of the simulated table, read from its Parquet files by somebody else's reader. */
import { zstdDecompressSync } from "node:zlib";
import { parquetReadObjects } from "hyparquet";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import type { TableRow } from "./history.ts";
import { lakeRoot } from "./node.ts";

const compressors = { ZSTD: (input: Uint8Array): Uint8Array => new Uint8Array(zstdDecompressSync(input)) };

export async function readTableRows(
  lake: ObjectStore,
  files: readonly string[],
  topic: string,
): Promise<readonly TableRow[]> {
  const rows: TableRow[] = [];
  for (const uri of files) {
    const bytes = await lake.get(uri.slice(lakeRoot.length + 1));
    const file = bytes.slice().buffer as ArrayBuffer;
    for (const row of await parquetReadObjects({ file, compressors })) {
      const partition = `${topic}-${row["_kafka_partition"]}`;
      rows.push({ partition, offset: Number(row["_kafka_offset"]), value: String(row["value"]) });
    }
  }
  return rows;
}

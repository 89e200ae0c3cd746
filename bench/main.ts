/** `npm run bench -- --peer kafka [--records N] [--pairs N]`, `npm run bench -- translate [rows]` `npm run bench -- wal [directory]` or `npm run bench -- image`. */
import { parseArgs } from "node:util";
import { benchImage } from "./image.ts";
import { benchPeerKafka } from "./peer-kafka.ts";
import { benchTranslate } from "./translate.ts";
import { benchWal } from "./wal.ts";

const { values, positionals } = parseArgs({
  options: {
    peer: { type: "string" },
    records: { type: "string", default: "500000" },
    pairs: { type: "string", default: "3" },
  },
  allowPositionals: true,
});

if (values.peer === "kafka") {
  await benchPeerKafka({ records: Number(values.records), pairs: Number(values.pairs), partitions: [1, 16] });
} else if (positionals[0] === "translate") {
  await benchTranslate(Number(positionals[1] ?? 400_000));
} else if (positionals[0] === "wal") {
  await benchWal(positionals[1]);
} else if (positionals[0] === "image") {
  await benchImage(Number(positionals[1] ?? 100_000), Number(positionals[2] ?? 1_000_000));
} else {
  console.error(
    "usage: npm run bench -- --peer kafka [--records N] [--pairs N] | npm run bench -- translate [rows] | wal [directory] | image [partitions] [objects]",
  );
  process.exitCode = 2;
}

/** `npm run bench -- --peer kafka [--records N] [--pairs N]`, `npm run bench -- translate [rows]`, `... wal [directory]` or `... tail [pairs]`. */
import { parseArgs } from "node:util";
import { benchPeerKafka } from "./peer-kafka.ts";
import { benchTail } from "./tail.ts";
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
} else if (positionals[0] === "tail") {
  await benchTail(Number(positionals[1] ?? 3));
} else {
  console.error(
    "usage: npm run bench -- --peer kafka [--records N] [--pairs N] | npm run bench -- translate [rows] | wal [directory] | tail [pairs]",
  );
  process.exitCode = 2;
}

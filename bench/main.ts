/** `npm run bench -- --peer kafka [--records N] [--pairs N]` or `npm run bench -- translate`. */
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: {
    peer: { type: "string" },
    records: { type: "string", default: "500000" },
    pairs: { type: "string", default: "3" },
  },
  allowPositionals: true,
});

if (values.peer === "kafka") {
  const { benchPeerKafka } = await import("./peer-kafka.ts");
  await benchPeerKafka({ records: Number(values.records), pairs: Number(values.pairs), partitions: [1, 16] });
} else if (positionals[0] === "translate") {
  await import(new URL("translate.ts", import.meta.url).href);
} else if (positionals[0] === "wal") {
  const { benchWal } = await import("./wal.ts");
  await benchWal(positionals[1]);
} else {
  console.error(
    "usage: npm run bench -- --peer kafka [--records N] [--pairs N] | npm run bench -- translate | wal [directory]",
  );
  process.exitCode = 2;
}

/** `npm run bench -- --peer kafka`, or the name of one of our own benchmarks. Without either it says what there is. */
import { parseArgs } from "node:util";
import { benchDay } from "./day.ts";
import { benchImage } from "./image.ts";
import { benchPeerKafka } from "./peer-kafka.ts";
import { benchRequests } from "./requests.ts";
import { benchSink } from "./sink.ts";
import { benchTail } from "./tail.ts";
import { benchTranslate } from "./translate.ts";
import { benchWal } from "./wal.ts";
import { benchWalKinds } from "./wal-kinds.ts";

const { values, positionals } = parseArgs({
  options: {
    peer: { type: "string" },
    records: { type: "string", default: "1000000" },
    pairs: { type: "string", default: "3" },
    minutes: { type: "string", default: "5" },
    hours: { type: "string", default: "24" },
    tables: { type: "string", default: "60" },
    set: { type: "string", multiple: true, default: [] },
  },
  allowPositionals: true,
});
const [name, ...args] = positionals;
const number = (at: number, byDefault: number): number => Number(args[at] ?? byDefault);

const benchmarks: Readonly<Record<string, { readonly usage: string; readonly run: () => Promise<void> }>> = {
  translate: { usage: "translate [rows]", run: () => benchTranslate(number(0, 400_000)) },
  sink: { usage: "sink [rows] [format…]", run: () => benchSink(number(0, 300_000), args.slice(1)) },
  wal: {
    usage: "wal [directory]",
    run: async () => {
      await benchWalKinds();
      await benchWal(args[0]);
    },
  },
  tail: { usage: "tail [pairs]", run: () => benchTail(number(0, 3)) },
  image: {
    usage: "image [partitions] [objects]",
    run: () => benchImage(number(0, 100_000), number(1, 1_000_000)),
  },
  day: {
    usage: "day [--minutes N] [--hours N] [--tables N]",
    run: () =>
      benchDay({ minutes: Number(values.minutes), hours: Number(values.hours), tables: Number(values.tables) }),
  },
  requests: { usage: "requests [seconds] [--set key=value]", run: () => benchRequests(number(0, 60), values.set) },
};

const chosen = benchmarks[name ?? ""];
if (values.peer === "kafka") {
  await benchPeerKafka({ records: Number(values.records), pairs: Number(values.pairs), partitions: [1, 16] });
} else if (chosen !== undefined) {
  await chosen.run();
} else {
  const usages = ["--peer kafka [--records N] [--pairs N]", ...Object.values(benchmarks).map(({ usage }) => usage)];
  console.error(`usage: npm run bench -- ${usages.join(" | ")}`);
  process.exitCode = 2;
}

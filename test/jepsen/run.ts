/** One run: a real broker, the processes of a workload, a nemesis; then everything is healed, read to the end, and judged. */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type InletBroker, startInlet } from "../support/inlet-process.ts";
import { checkout, freePort } from "../support/processes.ts";
import { seededRandom } from "../support/seeded.ts";
import { judge, type Verdict } from "./checker.ts";
import { Connection } from "./connection.ts";
import type { Operation } from "./history.ts";
import { torment } from "./nemesis.ts";
import { Link } from "./network.ts";
import { pause } from "./pause.ts";
import { transactionMsMax } from "./producer.ts";
import { Ticks } from "./ticks.ts";
import { type Life, type RunWorld, type Workload, type WorkloadName, wholeKey, workloads } from "./workloads.ts";

export interface RunOptions {
  readonly workload: WorkloadName;
  readonly seconds: number;
  readonly seed: number;
  readonly wal?: "file" | "object" | "replicated";
  /** 1: the protocol before KIP-890, under which a late end may decide the next transaction. Default 2. */
  readonly transactionVersion?: 1 | 2;
  readonly log?: (line: string) => void;
}

export interface RunReport extends Verdict {
  readonly workload: WorkloadName;
  readonly seed: number;
  readonly operations: Readonly<Record<string, number>>;
  readonly acked: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Where the history and the broker's data are kept: only when something was violated. */
  readonly kept?: string;
}

const topic = "jepsen";
/** After the last fault: what is open is aborted within its own timeout, and then everything is stable. */
const finalMsMax = 60_000 + transactionMsMax;

export async function run(options: RunOptions): Promise<RunReport> {
  const { workload: name, seconds, seed, wal = "file", transactionVersion = 2, log = () => undefined } = options;
  const workload: Workload = workloads[name];
  const directory = mkdtempSync(join(tmpdir(), "inlet-jepsen-"));
  const kafkaPort = await freePort();
  const config = {
    stream: { upload: { interval: { ms: { max: 700 } } } },
    wal: { kind: wal, reference: { bytes: { min: "4KiB" } } },
  };
  const start = (): Promise<InletBroker> => startInlet({ directory, kafkaPort, config, name: "jepsen" });
  const history: Operation[] = [];
  const startedMs = performance.now();
  let isBusy = true;
  let sent = 0;
  const world: RunWorld = {
    random: seededRandom(seed),
    ticks: new Ticks(),
    topic,
    transactionVersion,
    isBusy: () => isBusy,
    isDraining: false,
    record: (operation) => {
      history.push({ ...operation, atSeconds: Math.round(performance.now() - startedMs) / 1000 });
    },
    fresh: () => String((sent += 1)),
    sentCount: () => sent,
  };
  await using opened = new AsyncDisposableStack();
  const victims = { broker: await start(), links: [] as Link[], restart: start, log };
  opened.defer(() => victims.broker[Symbol.asyncDispose]());
  await prepare(kafkaPort, workload.keys);
  for (const _ of workload.seats) victims.links.push(opened.use(await Link.open(kafkaPort)));
  const nextProcess = new Ticks();
  const lives = workload.seats.map((seat, at) => seatLoop(world, seat, victims.links[at] as Link, nextProcess));
  const tormented = torment(victims, seededRandom(seed + 1), () => isBusy);
  await pause(seconds * 1000);
  isBusy = false;
  const faults = await tormented;
  await Promise.all(lives);
  await drain(world, workload, victims.links, nextProcess);
  await readToTheEnd(world, kafkaPort, workload.keys);
  const verdict = judge(history);
  const report = {
    workload: name,
    seed,
    operations: Object.fromEntries(
      [...Map.groupBy(history, kindAndOutcome)].map(([kind, list]) => [kind, list.length]),
    ),
    acked: ackedIn(history),
    faults,
    ...verdict,
  };
  if (verdict.violations.length > 0) return { ...report, kept: keep(options, history, directory) };
  await opened.disposeAsync();
  rmSync(directory, { recursive: true, force: true });
  return report;
}

function kindAndOutcome({ kind, outcome }: Operation): string {
  return `${kind} ${outcome}`;
}

function ackedIn(history: readonly Operation[]): number {
  const ok = history.filter(({ outcome }) => outcome === "ok").flatMap(({ steps }) => steps);
  return ok.reduce((sum, step) => sum + (step.kind === "send" ? step.values.length : 0), 0);
}

/** The topic, and what coordinators need: the first who asks for one makes its internal topic. */
async function prepare(port: number, partitions: number): Promise<void> {
  await using connection = new Connection(port);
  const topics = [{ name: topic, numPartitions: partitions, replicationFactor: -1, assignments: [], configs: [] }];
  await connection.call("createTopics", 7, { topics, timeoutMs: 10_000, validateOnly: false });
  for (const keyType of [0, 1]) await connection.call("findCoordinator", 4, { keyType, coordinatorKeys: ["any"] });
}

/** One life after the other, each a process of its own. */
async function seatLoop(world: RunWorld, life: Life, link: Link, nextProcess: Ticks): Promise<void> {
  while (world.isBusy()) {
    await using connection = new Connection(link.port);
    await life(world, nextProcess.next(), connection);
  }
}

/** Nothing goes wrong any more, so that one life each gets to the end; what it leaves undone is found. */
async function drain(
  world: RunWorld,
  { drains = [] }: Workload,
  links: readonly Link[],
  nextProcess: Ticks,
): Promise<void> {
  const deadline = performance.now() + finalMsMax;
  const draining: RunWorld = { ...world, isDraining: true, isBusy: () => performance.now() < deadline };
  await Promise.all(
    drains.map(async (life, at) => {
      await using connection = new Connection((links[at] as Link).port);
      await life(draining, nextProcess.next(), connection);
    }),
  );
}

/** Every key from its first offset, once nothing is open any more. A key that does not get there is a promise broken. */
async function readToTheEnd(world: RunWorld, port: number, keys: number): Promise<void> {
  await using connection = new Connection(port);
  const deadline = performance.now() + finalMsMax;
  for (let key = 0; key < keys; ) {
    const [poll] = await wholeKey(world, connection, key, true);
    const isWhole = poll !== undefined && poll.lastStable === poll.highWatermark;
    if (isWhole) {
      world.record({ process: 0, kind: "final", outcome: "ok", steps: [poll] });
      key += 1;
    } else if (performance.now() > deadline) {
      const unexpected = `key ${key} is not stable: ${poll?.lastStable} of ${poll?.highWatermark}`;
      world.record({ process: 0, kind: "final", outcome: "fail", steps: [], unexpected });
      key += 1;
    } else await pause(100);
  }
}

/** History as JSON, one operation a line, and what was violated; the broker's data stay where they are. */
function keep({ workload, seed }: RunOptions, history: readonly Operation[], data: string): string {
  const directory = join(checkout, ".cache/jepsen", `${workload}-${seed}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "data-directory.txt"), `${data}\n`);
  const file = join(directory, "history.jsonl");
  writeFileSync(file, "");
  for (const operation of history) appendFileSync(file, `${JSON.stringify(operation)}\n`);
  return directory;
}

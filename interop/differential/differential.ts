/** Starts both brokers, sends them the same sequences, and prints each difference once, as the smallest sequence that shows it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { type ApiName, apiNameOf, apis } from "../../src/protocol/api-table.ts";
import { startInlet } from "../../test/support/inlet-process.ts";
import { freePort } from "../../test/support/processes.ts";
import { startKafka } from "../kafka.ts";
import type { Deviation } from "./deviations.ts";
import type { Asked } from "./draw.ts";
import { type Broker, type Brokers, type Finding, Runner } from "./runner.ts";
import { sequenceFor, sequenceOf, type Theme } from "./sequence.ts";
import { shrink, signature } from "./shrink.ts";
import { fresh, password, type Step, users } from "./step.ts";
import { Target } from "./target.ts";

export interface Report {
  readonly sequences: number;
  readonly requests: number;
  readonly differences: readonly string[];
  readonly listed: readonly Deviation[];
  /** Versions of served APIs that were not sent: `produce 9`. */
  readonly missing: readonly string[];
  /** What Kafka says that it speaks. */
  readonly kafkaVersions: ReadonlyMap<ApiName, readonly [min: number, max: number]>;
}

export interface CompareOptions {
  readonly sequences: number;
  readonly seed: number;
  /** All sequences of one theme; undefined for all themes. */
  readonly theme?: Theme | undefined;
}

export async function compareBrokers(options: CompareOptions): Promise<Report> {
  const directory = mkdtempSync(join(tmpdir(), "inlet-differential-"));
  const ports = { kafka: await freePort(), open: await freePort(), sasl: await freePort() };
  console.log(`${options.sequences} sequences from seed ${options.seed}`);
  try {
    await using kafka = await startKafka({
      directory: join(directory, "kafka"),
      overrides: {
        "group.initial.rebalance.delay.ms": "0",
        "group.streams.initial.rebalance.delay.ms": "0",
        "group.streams.assignment.interval.ms": "0",
        "group.consumer.assignment.interval.ms": "0",
        "group.share.assignment.interval.ms": "0",
        // Who is answered before the assignment is made depends on its threads.
        "group.consumer.assignor.offload.enable": "false",
        "group.share.assignor.offload.enable": "false",
        "group.streams.assignor.offload.enable": "false",
        "auto.create.topics.enable": "false",
        "metric.reporters": "TelemetrySink",
        "delegation.token.secret.key": "of the test",
      },
      sasl: { port: ports.kafka, users: new Map(users.map((user) => [user, password])) },
      plugin: join(import.meta.dirname, "TelemetrySink.java"),
      heap: "768m",
    });
    await using _inlet = await startInlet({
      directory: join(directory, "inlet"),
      config: {
        node: { id: 1 },
        group: {
          initial: { rebalance: { delay: { ms: 0 } } },
          consumer: { assignment: { interval: { ms: 0 } } },
          streams: { initial: { rebalance: { delay: { ms: 0 } } }, assignment: { interval: { ms: 0 } } },
        },
        topic: { auto: { create: false } },
        listeners: {
          open: { port: ports.open },
          sasl: { port: ports.sasl, protocol: "SASL_PLAINTEXT", mechanisms: ["PLAIN"], allow_plain_without_tls: true },
        },
        sasl: { users: Object.fromEntries(users.map((user) => [user, { password }])) },
        delegation: { token: { secret: "of the test" } },
      },
    });
    const brokers = {
      kafka: await prepared(kafka.bootstrap, `127.0.0.1:${ports.kafka}`),
      inlet: await prepared(`127.0.0.1:${ports.open}`, `127.0.0.1:${ports.sasl}`),
    };
    const served = new Set(brokers.inlet.versions.keys());
    return { ...(await compareAll(brokers, served, options)), kafkaVersions: brokers.kafka.versions };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function compareAll(
  brokers: Brokers,
  served: ReadonlySet<ApiName>,
  options: CompareOptions,
): Promise<Omit<Report, "kafkaVersions">> {
  const runner = new Runner(brokers);
  const counts = new Map<string, number>();
  const listed = new Set<Deviation>();
  let requests = 0;
  const compare = async (seed: number, steps: readonly Step[]): Promise<void> => {
    const result = await runner.run(steps);
    requests += result.requests;
    for (const deviation of result.listed) listed.add(deviation);
    if (result.finding === undefined) return;
    const name = signature(result.finding);
    const count = counts.get(name);
    if (count !== undefined) counts.set(name, count + 1);
    else if (await isRepeatable(runner, steps, name)) {
      counts.set(name, 1);
      print(seed, await smallest(runner, steps.slice(0, result.finding.at + 1), name));
    } else console.log(`seed ${seed}: did not come again: ${name}`);
  };
  let sequences = 0;
  for (; sequences < options.sequences; sequences += 1) {
    const { seed, steps } = sequenceOf(options.seed + sequences, served, options.theme);
    await compare(seed, steps);
  }
  // What chance has left out.
  for (const { api, version } of options.theme === undefined ? missing(runner.sent, served) : []) {
    for (let tries = 0; tries < fillingTriesMax && !runner.sent.has(`${api} ${version}`); tries += 1) {
      const seed = options.seed + sequences;
      await compare(seed, sequenceFor(seed, { api, version }));
      sequences += 1;
    }
  }
  for (const [name, count] of [...counts].sort((a, b) => b[1] - a[1])) console.log(`${count} x ${name}`);
  printCoverage(runner.sent, served);
  const left = missing(runner.sent, served).map(({ api, version }) => `${api} ${version}`);
  console.log(`not sent: ${left.join(", ") || "none"}`);
  console.log(
    `${sequences} sequences, ${requests} requests, ${counts.size} differences, ${listed.size} listed ones met`,
  );
  return { sequences, requests, differences: [...counts.keys()], listed: [...listed], missing: left };
}

/** Generators draw other ways to use an API, too. */
const fillingTriesMax = 40;

function missing(sent: ReadonlyMap<string, number>, served: ReadonlySet<ApiName>): readonly Asked[] {
  return [...served]
    .sort()
    .flatMap((api) => versionsOf(api).map((version) => ({ api, version })))
    .filter(({ api, version }) => !sent.has(`${api} ${version}`));
}

function versionsOf(api: ApiName): readonly number[] {
  const [min, max] = apis[api].request.versions;
  return Array.from({ length: max - min + 1 }, (_, at) => min + at);
}

/** One line an API: how often each version was sent. */
function printCoverage(sent: ReadonlyMap<string, number>, served: ReadonlySet<ApiName>): void {
  for (const api of [...served].sort()) {
    const counts = versionsOf(api).map((version) => `v${version} ${sent.get(`${api} ${version}`) ?? 0}`);
    console.log(`${api}: ${counts.join(", ")}`);
  }
}

/** What a slow machine makes differ once is not a difference. */
async function isRepeatable(runner: Runner, steps: readonly Step[], name: string): Promise<boolean> {
  const { finding } = await runner.run(steps);
  return finding !== undefined && signature(finding) === name;
}

async function smallest(
  runner: Runner,
  steps: readonly Step[],
  name: string,
): Promise<{ readonly steps: readonly Step[]; readonly finding: Finding | undefined }> {
  const found = await shrink(runner, steps, name);
  return { steps: found, finding: (await runner.run(found)).finding };
}

function print(seed: number, { steps, finding }: Awaited<ReturnType<typeof smallest>>): void {
  console.log(`\nseed ${seed}, smallest sequence (${fresh} stands for the run's prefix):`);
  for (const step of steps) {
    const { api, version, connection, body, mangle } = step;
    const extra = mangle === undefined ? "" : ` ${inspect(mangle)}`;
    console.log(`  ${api} v${version} on ${connection}${extra} ${shown(body)}`);
  }
  for (const { path, kafka, inlet } of finding?.differences.slice(0, printedMax) ?? [])
    console.log(`    ${path}\n      kafka ${JSON.stringify(kafka)}\n      inlet ${JSON.stringify(inlet)}`);
}

const printedMax = 6;

function shown(body: unknown): string {
  return inspect(body, { depth: 9, compact: true, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60 });
}

/** Any; a share coordinator is asked for by group, topic and partition. */
const shareTopicId = "AAAAAAAAAAAAAAAAAAAAAQ";

interface Prepared extends Broker {
  readonly versions: ReadonlyMap<ApiName, readonly [min: number, max: number]>;
}

/** Waits until the broker serves groups and producers, and learns what it speaks. */
async function prepared(bootstrap: string, sasl: string): Promise<Prepared> {
  const name = "prepare";
  await using target = new Target({ bootstrap, sasl, prefix: `${name}-`, startMs: Date.now() });
  for (;;) {
    const { coordinators } = await target.call("findCoordinator", 4, { keyType: 0, coordinatorKeys: [name] });
    const { groups } = await target.call("describeGroups", 5, { groups: [name] });
    const producer = await target.call("initProducerId", 5, { transactionalId: null, transactionTimeoutMs: 1000 });
    // The topics behind both are made when somebody asks for their coordinators first.
    const transactions = await target.call("findCoordinator", 6, { keyType: 1, coordinatorKeys: [name] });
    const shareKey = `${name}:${shareTopicId}:0`;
    const shares = await target.call("findCoordinator", 6, { keyType: 2, coordinatorKeys: [shareKey] });
    const answers = [coordinators[0], groups[0], producer, transactions.coordinators[0], shares.coordinators[0]];
    if (answers.every((answer) => answer?.errorCode === 0)) break;
    await sleep(100);
  }
  const { apiKeys } = await target.call("apiVersions", 0, {});
  const versions = apiKeys.flatMap(({ apiKey, minVersion, maxVersion }) => {
    const api = apiNameOf(apiKey);
    return api === undefined ? [] : [[api, [minVersion, maxVersion] as const] as const];
  });
  return { bootstrap, sasl, versions: new Map(versions) };
}

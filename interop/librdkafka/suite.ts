/**
 * librdkafka's own tests, one process a test, against brokers of ours: which of them talk to a broker is read from their
 * source, what cannot pass stands here with the reason.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { startInlet } from "../../test/support/inlet-process.ts";
import { freePort } from "../../test/support/processes.ts";
import { startKafka } from "../kafka.ts";
import { kafkaHome, librdkafkaTests, versions } from "../tools.ts";

export type Protocol = "classic" | "consumer";

/** Against a real Kafka it is seen whose fault a failure is. */
export type Server = "inlet" | "kafka";

/** Tests, by their numbers, that are not run, and whose fault that is. */
export const leftOut: Readonly<Record<string, string>> = {
  "0028": "librdkafka flags it as a known issue of its own",
  "0047": "librdkafka flags it as a known issue of its own",
  "0092": "asks for message format 1, which Kafka 4 has removed",
  "0097": "wants certificates in five formats that its own cluster tool makes",
  "0101": "wants three brokers in three racks",
  "0126": "wants an identity provider that gives out tokens over HTTP",
  "0139": "talks to librdkafka's own mock of brokers alone",
  "0150": "talks to librdkafka's own mock of brokers alone",
};

/** A failure that is not the broker's, known by what the test says; saying anything else it has failed. */
interface Excuse {
  readonly says: RegExp;
  readonly why: string;
}

const excuses: Readonly<Record<string, Excuse>> = {
  "0113": {
    says: /Fatal error: Broker: Invalid request[^]*u_multiple_subscription_changes[^]* failed[^]*Local: Fatal error/,
    why: "unsubscribed while it gives up partitions, the client joins again without what a first heartbeat has to say",
  },
  "0179": {
    says: /first_batch_cnt == TEST_MSGS \/ 2/,
    why: "expects one of two partitions that are both ready in the first answer; fails against Kafka 4.3.1 as well",
  },
};

/** Reasons for which a test skips itself here. */
const selfSkips: readonly RegExp[] = [
  /fix the test with subscribe\/unsubscribe PR/, // Of the consumer protocol, in librdkafka.
  /meaningful only with classic/,
];

/** They judge by single milliseconds, so they run when nothing else does. */
const alone = new Set(["0055", "0127"]);
/** 0081 sleeps for all but a second of the three minutes that it gives itself; 0119 starts a JVM three times within its 20 seconds. */
const slow = new Set(["0081", "0119"]);
/** From here on: share consumers. They know no group protocol, and are slower than their own limit on a small machine. */
const shareFirst = 170;
const processMsMax = 1_200_000;
const inParallel = 4;

export interface Outcome {
  readonly number: string;
  readonly protocol: Protocol;
  readonly passed: readonly string[];
  readonly skipped: readonly { readonly test: string; readonly why: string }[];
  /** Empty when all is well. */
  readonly failed: readonly string[];
  /** Why what failed is not the broker's. */
  readonly excuse: string | undefined;
  readonly output: string;
}

interface World {
  /** Of Inlet. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The same, of Kafka. */
  readonly overrides: Readonly<Record<string, string>>;
  /** Passwords by name, of those who come to the second listener. */
  readonly users?: ReadonlyMap<string, string>;
  /** Of the client. */
  readonly client?: readonly string[];
  readonly args?: readonly string[];
}

/** As the suite's own cluster tool sets Kafka up; and what is compacted after a minute there is after seconds here. */
const common = {
  topic: { partitions: { default: 4 } },
  share: { lock: { group: { ms: { min: 1000 } } } },
  stream: { upload: { interval: { ms: { max: 2000 } } } },
  cleaner: { interval: { ms: 2000 } },
  authorizer: { enabled: true },
  allow: { everyone: { if: { no: { acl: { found: true } } } } },
};

const commonOfKafka = {
  "num.partitions": "4",
  "group.share.min.record.lock.duration.ms": "1000",
  "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
  "allow.everyone.if.no.acl.found": "true",
  "super.users": "User:ANONYMOUS",
};

/** Tests of the suite's second scenario; of 0045 some are of the first. */
const withoutAutoCreation = new Set(["0045-noautocreate", "0107", "0111"]);

async function worldOf(
  number: string,
): Promise<{ readonly name: string; readonly world: World; readonly port?: number }> {
  if (withoutAutoCreation.has(number)) {
    const topic = { ...common.topic, auto: { create: false } };
    const config = { ...common, topic };
    const overrides = { ...commonOfKafka, "auto.create.topics.enable": "false" };
    return { name: "no-auto-create", world: { config, overrides, args: ["-s", "noautocreate"] } };
  }
  if (number === "0135" || number === "0142") {
    const port = await freePort();
    const listener = { protocol: "SASL_PLAINTEXT", mechanisms: ["PLAIN"], allow_plain_without_tls: true, port };
    const config = {
      ...common,
      listeners: { sasl: listener },
      sasl: { users: { tester: { password: "secret" } } },
      authentication: { session: { ms: { max: 10_000 } } },
    };
    const overrides = { ...commonOfKafka, "connections.max.reauth.ms": "10000" };
    const secret = ["sasl.username=tester", "sasl.password=secret"];
    const client = ["security.protocol=sasl_plaintext", "sasl.mechanism=PLAIN", ...secret];
    return { name: "sasl", world: { config, overrides, users: new Map([["tester", "secret"]]), client }, port };
  }
  if (number === "0045") {
    // It is older than the pause between two assignments of a group, and Kafka with that pause fails it.
    const config = { ...common, group: { consumer: { assignment: { interval: { ms: 0 } } } } };
    const overrides = { ...commonOfKafka, "group.consumer.assignment.interval.ms": "0" };
    return { name: "assigned-at-once", world: { config, overrides } };
  }
  if (number === "0113") {
    // One of its consumers polls no more, and does not leave before it polls: its session has to end within the test's 30 s.
    const [sessionMs, heartbeatMs] = [6000, 1000];
    const consumer = { session: { ms: sessionMs }, heartbeat: { interval: { ms: heartbeatMs } } };
    const config = { ...common, group: { consumer } };
    const overrides = {
      ...commonOfKafka,
      "group.consumer.min.session.timeout.ms": String(sessionMs),
      "group.consumer.session.timeout.ms": String(sessionMs),
      "group.consumer.min.heartbeat.interval.ms": String(heartbeatMs),
      "group.consumer.heartbeat.interval.ms": String(heartbeatMs),
    };
    // Of every context of debugging the one that says least: with any, the client says why an error is fatal.
    return { name: "short-sessions", world: { config, overrides, client: ["debug=plugin"] } };
  }
  return { name: "plain", world: { config: common, overrides: commonOfKafka } };
}

/** The numbers of all tests that talk to a broker, those that share one once. */
export async function brokerFacing(protocol: Protocol): Promise<readonly string[]> {
  const source = readFileSync(join(await librdkafkaTests(), "test.c"), "utf8");
  const table = source.slice(source.indexOf("struct test tests[]"));
  const rows = [...table.matchAll(/_TEST\((\d{4})_\w+,\s*([^,)]+)/g)];
  const numbers = rows.filter(([, , flags]) => !/LOCAL|MANUAL/.test(flags ?? "")).map(([, number]) => number as string);
  const wanted =
    protocol === "classic"
      ? [...numbers, "0045-noautocreate"] // Cooperative rebalances do not give everything back first, as it expects.
      : numbers.filter((number) => Number(number) < shareFirst);
  return [...new Set(wanted)].filter((number) => leftOut[number] === undefined);
}

/**
 * Runs these tests, several at a time; whatever failed beside others gets a second chance alone, with brokers of its own: 0045 finds
 * topics by an expression, and what it left behind would be in its way.
 */
export async function runTests(
  protocol: Protocol,
  numbers: readonly string[],
  tell: (outcome: Outcome, note: string) => void,
  server: Server = "inlet",
): Promise<readonly Outcome[]> {
  const newPlace = async (): Promise<Place> => new Place(server, await librdkafkaTests(), await kafkaHome());
  await using place = await newPlace();
  const outcomes: Outcome[] = [];
  const again: string[] = numbers.filter((number) => alone.has(number));
  const waiting = numbers.filter((number) => !alone.has(number));
  const worker = async (): Promise<void> => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      const outcome = await place.run(protocol, number);
      if (outcome.failed.length > 0) {
        again.push(number);
        tell(outcome, "to be run again alone");
      } else {
        outcomes.push(outcome);
        tell(outcome, "");
      }
    }
  };
  await Promise.all(Array.from({ length: inParallel }, worker));
  for (const number of again) {
    await using own = await newPlace();
    const outcome = await own.run(protocol, number);
    outcomes.push(outcome);
    tell(outcome, "alone");
  }
  return outcomes;
}

/** Where the tests run: brokers, each started when the first test needs it. */
class Place implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "inlet-librdkafka-"));
  readonly #brokers = new Map<string, Promise<{ readonly broker: AsyncDisposable; readonly bootstrap: string }>>();
  readonly #server: Server;
  readonly #tests: string;
  readonly #kafkaHome: string;

  constructor(server: Server, tests: string, home: string) {
    this.#server = server;
    this.#tests = tests;
    this.#kafkaHome = home;
  }

  async run(protocol: Protocol, number: string): Promise<Outcome> {
    const { name, world, port } = await worldOf(number);
    const started = this.#brokers.get(name) ?? this.#start(name, world, port);
    this.#brokers.set(name, started);
    const { bootstrap } = await started;
    const config = join(this.#directory, `${number}.conf`);
    const slower = Number(number) >= shareFirst || slow.has(number) ? ["test.timeout.multiplier=4"] : [];
    const lines = [
      `metadata.broker.list=${bootstrap}`,
      `test.topic.prefix=t${number}`,
      "test.topic.random=true",
      ...slower,
      ...(world.client ?? []),
    ];
    writeFileSync(config, `${lines.join("\n")}\n`);
    const env = {
      ...process.env,
      RDKAFKA_TEST_CONF: config,
      TESTS: number.slice(0, 4),
      TEST_CONSUMER_GROUP_PROTOCOL: protocol,
      TEST_KAFKA_VERSION: versions.kafka,
      BROKERS: bootstrap,
      KAFKA_PATH: this.#kafkaHome,
      LD_LIBRARY_PATH: `${join(this.#tests, "../src")}:${join(this.#tests, "../src-cpp")}`,
    };
    return outcomeOf(protocol, number, await this.#runner(["-p1", "-L", ...(world.args ?? [])], env));
  }

  async #start(name: string, { config, overrides, users }: World, port: number | undefined) {
    const directory = join(this.#directory, name);
    const sasl = users === undefined || port === undefined ? {} : { sasl: { users, port } };
    const broker =
      this.#server === "inlet"
        ? await startInlet({ directory, config, name: `librdkafka-${name}` })
        : await startKafka({ directory, overrides, ...sasl });
    return { broker, bootstrap: port === undefined ? broker.bootstrap : `127.0.0.1:${port}` };
  }

  /** What the runner printed. It ends with a table of what ran; a runner that aborts does not come that far. */
  #runner(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
    const limits = { timeout: processMsMax, killSignal: "SIGKILL", maxBuffer: 512 * 1024 * 1024 } as const;
    return new Promise((resolve) => {
      execFile(join(this.#tests, "test-runner"), args, { cwd: this.#tests, env, ...limits }, (_, stdout, stderr) =>
        resolve(stripVTControlCharacters(stdout + stderr)),
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const started of this.#brokers.values()) await (await started).broker[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function outcomeOf(protocol: Protocol, number: string, output: string): Outcome {
  // | 0001_multiobj   |     PASSED |   1.234s | why it was skipped
  const rows = [...output.matchAll(/^\| (\d{4}_\w+) +\| +(\w+) +\| +[\d.]+s +\| ?(.*)$/gm)].map(
    ([, test = "", state = "", why = ""]) => ({ test, state, why: why.trim() }),
  );
  // Local tests are filtered, and those of the other scenario skipped without a word.
  const talking = rows.filter(({ state, why }) => state !== "SKIPPED" || !/^$|^Filtered due to negative/.test(why));
  const passed = talking.filter(({ state }) => state === "PASSED").map(({ test }) => test);
  const skipped = talking.filter(({ state }) => state === "SKIPPED");
  const failed = talking.filter(({ state }) => state !== "PASSED" && state !== "SKIPPED").map(({ test }) => test);
  const unexplained = skipped.filter(({ why }) => !selfSkips.some((known) => known.test(why)));
  failed.push(...unexplained.map(({ test, why }) => `${test} skipped itself: ${why}`));
  if (talking.length === 0) failed.push(`${number} did not come to its end`);
  const known = excuses[number];
  const excuse = failed.length > 0 && known?.says.test(output) === true ? known.why : undefined;
  return { number, protocol, passed, skipped, failed, excuse, output };
}

/** Proves: every `inlet` command in the pages does what the page says, in the order of the page, against a real broker. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Broker, openBroker } from "../../src/broker.ts";
import { Authority, hasOpenssl } from "../support/certificates.ts";
import { inlet as inletHere } from "../support/command.ts";
import { configOf, inProcess } from "../support/config.ts";
import { pages, shellCommands } from "../support/markdown.ts";
import { answers, checkout, freePort } from "../support/processes.ts";
import { setScramPassword } from "../support/sasl-client.ts";

const documented = pages()
  .flatMap(shellCommands)
  .filter((command) => /^(bin\/)?inlet\b/.test(command));

let home: string;
let environment: Readonly<Record<string, string>>;
let admin: string;
let brokers: string;
let broker: ChildProcess | undefined;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "inlet-docs-"));
  const names = ["KAFKA", "REGISTRY", "CATALOG", "HTTP"];
  const ports = await Promise.all(names.map(async (name) => [`INLET_${name}_PORT`, String(await freePort())] as const));
  environment = Object.fromEntries(ports);
  admin = `http://127.0.0.1:${environment["INLET_HTTP_PORT"]}`;
  brokers = `127.0.0.1:${environment["INLET_KAFKA_PORT"]}`;
});
afterAll(async () => {
  if (broker?.exitCode === null) {
    broker.kill();
    await once(broker, "exit");
  }
  rmSync(home, { recursive: true });
});

/** What a reader sees of each, in the reader's directory. */
const promises: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  "bin/inlet init": async (args) => {
    await inlet(args);
    expect(["inlet.yaml", "inlet.schema.json"].filter((name) => !existsSync(join(home, name)))).toEqual([]);
  },
  "bin/inlet config check": async (args) => expect(await inlet(args)).toContain("ok: "),
  "bin/inlet start": async (args) => {
    // The page's own topic, so that it has a table; its bucket is somebody's.
    const settings = ["--data-directory", join(home, "data"), "-c", withOrders()];
    broker = spawn(join(checkout, "bin/inlet"), [...args, ...settings], {
      cwd: home,
      env: { ...process.env, ...environment },
      stdio: "ignore",
    });
    await expect.poll(() => answers(`${admin}/health/ready`), { timeout: 20_000 }).toBe(true);
  },
  "bin/inlet topic create orders --partitions 6": async (args) => expect(await inlet(args)).toContain("orders"),
  "bin/inlet topic list": async (args) => expect(await inlet(args)).toMatch(/orders +6/),
  "bin/inlet group list": async (args) => expect(await inlet(args)).toContain("GROUP"),
  "bin/inlet table list": async (args) => expect(await inlet(args)).toContain("sales.orders"),
  "bin/inlet table flush orders": async (args) =>
    expect(JSON.parse(await inlet(args))).toMatchObject({ topic: "orders" }),
  "bin/inlet table status orders": async (args) => expect(await inlet(args)).toContain("running"),
  "bin/inlet table connect orders --engine trino": async (args) =>
    expect(await inlet(args)).toContain('lake."sales"."orders"'),
  "bin/inlet table resume orders --accept": async (args) => {
    await inlet(args);
    expect(await inlet(["table", "status", "orders"])).toContain("running");
  },
  "bin/inlet table orphans orders": async (args) => {
    await inlet(["table", "flush", "orders"]);
    expect(await inlet(args)).toMatch(/^0 of \d+ files, 0 bytes, are named by nothing and older than 7d\n$/);
  },
  "bin/inlet table orphans orders --delete --older-than 7d": async (args) => {
    const table = join(home, "data");
    const names = readdirSync(table, { recursive: true, encoding: "utf8" });
    const metadata = names.find((name) => name.endsWith(".metadata.json")) as string;
    const lost = join(table, dirname(metadata), "lost.avro");
    writeFileSync(lost, "");
    utimesSync(lost, 0, 1);
    expect(await inlet(args)).toContain("They were deleted");
    expect(existsSync(lost)).toBe(false);
  },
  "bin/inlet topic list --brokers kafka.example.com:9094 --tls-ca ca.crt --user alice --password-file alice.password":
    async (args) => {
      if (!hasOpenssl) return;
      await using secured = await openSecured();
      const at = args.map((arg) =>
        arg === "kafka.example.com:9094" ? (secured.addresses.listeners.get("external") as string) : arg,
      );
      expect(await inlet(at)).toContain("PARTITIONS");
    },
  "bin/inlet table plan orders": async (args) => {
    await produceOrders();
    expect(await inlet(args)).toContain("CREATE TABLE lake.sales.orders");
  },
  "bin/inlet table replay-dlq orders": async (args) => expect(await inlet(args)).toContain("0 dead letters"),
  "bin/inlet table replay-dlq orders --undecided apply": async (args) =>
    expect(await inlet(args)).toContain("0 dead letters"),
  "bin/inlet table backfill orders --rate 50MiB/s": async (args) => {
    // The docs' own table began with the topic's start.
    await expect(inlet(args)).rejects.toThrow(/nothing lies behind it/);
  },
  "bin/inlet table backfill orders --into orders_v2 --rate 20MiB/s": async (args) =>
    expect(await inlet(args)).toMatch(/^(running|done), \d+ of \d+ records in the table/),
  "bin/inlet table verify orders": async (args) => {
    await inlet(["table", "flush", "orders"]);
    expect(await inlet(args)).toContain("equal: every row that must be there is there");
  },
  "bin/inlet table verify orders --table orders_v2": async (args) => {
    expect(await inlet(args)).toMatch(/^sales\.orders_v2, snapshot .*\nequal: every row/s);
  },
  "bin/inlet table at orders --offset 0:2": async (args) => expect(await inlet(args)).toContain("VERSION AS OF"),
  'bin/inlet sql "SELECT count(*) AS orders, max(id) AS last FROM sales.orders"': async () => {
    await produceOrders(); // Not committed yet.
    const query = "SELECT count(*) AS orders, max(id) AS last FROM sales.orders";
    expect(await inlet(["sql", query])).toMatch(/orders +last\n8 +3\.?0?\n/);
  },
};

test("every documented command is promised here, in the page's order", () => {
  expect(documented).toEqual(Object.keys(promises));
});

test.each(Object.entries(promises))("%s", async (command, promise) => {
  await promise(command.split(" ").slice(1));
});

test("commands that are spoken of in passing, here and in the comments of other files, are there", async () => {
  const others = ["docker-compose.yml", "Dockerfile", "examples/compose/inlet.yaml"];
  const texts = [
    ...pages().map(({ text }) => text),
    ...others.map((name) => readFileSync(join(checkout, name), "utf8")),
  ];
  const spoken = texts.flatMap((text) => [
    ...[...text.matchAll(/`(?:bin\/)?inlet ([^`]+)`/g)].map(([, words]) => words as string),
    ...[...text.matchAll(/^# +bin\/inlet (.+)$/gm)].map(([, words]) => words as string),
  ]);
  expect(spoken.length).toBeGreaterThan(5);
  const nameOf = (words: string): string =>
    words
      .split(/\s+/)
      .filter((word) => /^[a-z]+$/.test(word))
      .slice(0, 2)
      .join(" ");
  for (const name of new Set(spoken.map(nameOf))) {
    const names = name.split(" ");
    const [usage] = (await inletHere([...names, "--help"])).out.split("\n");
    expect([name, usage]).toEqual([name, expect.stringContaining(`inlet ${names[0]}`)]);
    // The help of a family instead of its member's: there is no such member.
    if (names.length > 1) expect([name, usage]).toEqual([name, expect.not.stringContaining("[command]")]);
  }
});

function withOrders(): string {
  const file = join(home, "orders.yaml");
  writeFileSync(file, "topics:\n  orders: { table: { name: sales.orders }, value: { decode: json } }\n");
  return file;
}

/** A broker with the page's listener and user, and the reader's files. */
async function openSecured(): Promise<Broker> {
  const authority = new Authority(home, "ca");
  const { certificate, key } = authority.issue("server", "/CN=localhost");
  const tls = `tls: { certificate: ${certificate}, key: ${key} }`;
  const external = `external: { port: 0, protocol: SASL_SSL, mechanisms: [SCRAM-SHA-512], ${tls} }`;
  const listeners = `listeners:\n  internal: { port: 0 }\n  ${external}\n`;
  const broker = await openBroker(configOf(listeners, inProcess(join(home, "secured"))));
  const alice = { user: "alice", mechanism: "SCRAM-SHA-512", password: "hers" } as const;
  await setScramPassword(broker.addresses.listeners.get("internal") as string, alice);
  writeFileSync(join(home, "alice.password"), "hers\n");
  return broker;
}

/** Four, in partition 0. */
async function produceOrders(): Promise<void> {
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: () => () => 0 });
  await producer.connect();
  const messages = [0, 1, 2, 3].map((id) => ({ value: JSON.stringify({ id }) }));
  await producer.send({ topic: "orders", acks: -1, messages });
  await producer.disconnect();
}

const run = promisify(execFile);

/** Runs the command where the reader stands, at the ports of this test. */
async function inlet(args: readonly string[]): Promise<string> {
  const { stdout } = await run(join(checkout, "bin/inlet"), ["--brokers", brokers, "--admin", admin, ...args], {
    cwd: home,
    env: { ...process.env, ...environment },
  });
  return stdout;
}

/** Proves: a broker that cannot start ends with 1 and one line that says what is wrong and what to do, and no stack. */
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openBroker } from "../src/broker.ts";
import { startBucketServer } from "./support/bucket-server.ts";
import { inlet } from "./support/command.ts";
import { configOf, inProcess } from "./support/config.ts";

let directory: string;
let taken: Server;
let port: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "inlet-refused-"));
  taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  port = String((taken.address() as AddressInfo).port);
});
afterAll(() => {
  taken.close();
  rmSync(directory, { recursive: true });
});

/** What is said by a start that must not succeed. */
async function start(settings: Readonly<Record<string, string>>, yaml = ""): Promise<string> {
  const file = join(directory, "inlet.yaml");
  writeFileSync(file, yaml);
  const flags = { ...inProcess(join(directory, "data")), ...settings };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const { code, error } = await inlet(["start", "-c", file, ...args], {
    server: { openBroker, runDemo: () => Promise.resolve(0) },
  });
  expect(code).toBe(1);
  expect(error).toMatch(/^inlet: [^\n]+\n$/); // One line, so no stack.
  return error;
}

test.each([
  ["kafka-port", "kafka.port"],
  ["registry-port", "registry.port"],
  ["catalog-port", "catalog.port"],
  ["http-port", "http.port"],
])("where --%s is taken", async (flag, setting) => {
  const said = await start({ [flag]: port });
  expect(said).toContain(`127.0.0.1:${port}: the port is in use`);
  expect(said).toContain(setting);
});

test("where a listener's host is none of this machine", async () => {
  expect(await start({ "kafka-host": "192.0.2.1" })).toMatch(/192\.0\.2\.1:\d+: this machine has no such address/);
  expect(await start({ "http-host": "nowhere.invalid" })).toContain("nowhere.invalid:0: the name is not known");
});

test("where the data directory is a file", async () => {
  const path = join(directory, "file");
  writeFileSync(path, "");
  expect(await start({ "data-directory": path })).toContain(`data.directory: ${path} cannot be used: EEXIST`);
  expect(await start({ "data-directory": join(path, "below") })).toContain("cannot be used: ENOTDIR");
});

test("where the directory of the objects is a file", async () => {
  const path = join(directory, "objects-file");
  writeFileSync(path, "");
  expect(await start({ "object-store-url": `file://${path}` })).toContain(path);
});

test("where the bucket is not there, or keys are wrong", async () => {
  await using server = await startBucketServer({
    bucket: "lake",
    dialect: "s3",
    refuse: ({ method, headers }) => {
      const key = /Credential=(\w+)/.exec(headers.authorization ?? "")?.[1];
      if (key === "wrong") return { status: 403, code: "InvalidAccessKeyId" };
      return key === "reader" && method !== "GET" && method !== "HEAD"
        ? { status: 403, code: "AccessDenied" }
        : undefined;
    },
  });
  const url = (bucket: string, key: string): string =>
    `s3://${bucket}/x?endpoint=${server.endpoint}&pathStyle=true&accessKey=${key}&secretKey=hunter2`;
  const [missing, refused, readOnly] = [
    await start({ "object-store-url": url("laek", "right") }),
    await start({ "object-store-url": url("lake", "wrong") }),
    await start({ "object-store-url": url("lake", "reader") }),
  ] as const;
  expect(readOnly).toMatch(/cannot be used: create .*: AccessDenied/);
  expect(missing).toContain("s3://laek/x cannot be used: list meta/probe/: NoSuchBucket");
  expect(refused).toContain("s3://lake/x cannot be used: list meta/probe/: InvalidAccessKeyId");
  for (const said of [missing, refused, readOnly]) {
    expect(said).toContain("the bucket, the endpoint and the keys");
    expect(said).not.toContain("hunter2");
  }
});

test("where the store does not answer", async () => {
  const url = "s3://lake?endpoint=http://127.0.0.1:1&accessKey=a&secretKey=hunter2";
  const said = await start({ "object-store-url": url, "object-store-retry-attempts-max": "2" });
  expect(said).toContain("s3://lake cannot be used: list meta/probe/: ECONNREFUSED");
});

test("where PostgreSQL does not answer", async () => {
  const said = await start({ "metadata-url": "postgres://u:hunter2@127.0.0.1:1/db" });
  expect(said).toContain("postgres://127.0.0.1:1/db: connect ECONNREFUSED");
});

test("where files of a listener are missing, or do not fit", async () => {
  const tls = (certificate: string) =>
    `listeners: { L: { protocol: SSL, port: 0, tls: { certificate: "${certificate}", key: "${certificate}" } } }\n`;
  expect(await start({}, tls("/nowhere/cert.pem"))).toContain("/nowhere/cert.pem");
  const empty = join(directory, "empty.pem");
  writeFileSync(empty, "nothing", { mode: 0o600 });
  expect(await start({}, tls(empty))).toContain(empty);
});

test("where what is stored is damaged", async () => {
  const data = join(directory, "damaged");
  await (await openBroker(configOf("", inProcess(data))))[Symbol.asyncDispose]();
  const log = join(data, "metadata");
  for (const name of readdirSync(log)) writeFileSync(join(log, name), readFileSync(join(log, name)).fill(7, 10, 200));
  expect(await start({ "data-directory": data })).toMatch(/corrupt .*inlet verify --storage/);
});

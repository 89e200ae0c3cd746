/** Proves: a broker writes below its data directory and nowhere else, starts no process, and is not root in its image. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { answers, checkout, freePort, start } from "./support/processes.ts";

/** As docs/security.md has them. */
const permissions = (data: string): readonly string[] => [
  "--permission",
  "--allow-fs-read=*",
  `--allow-fs-write=${data}`,
  "--allow-fs-write=/proc/self/fd",
  "--allow-worker",
  "--allow-addons",
];

test("under Node's permission model it takes records and commits them", { timeout: 120_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-privilege-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, "data")); // Node takes a path that is no directory yet for that of a file.
  const [kafkaPort, httpPort] = [await freePort(), await freePort()];
  const config = {
    data: { directory: join(directory, "data") },
    kafka: { port: kafkaPort },
    http: { port: httpPort },
    registry: { port: 0 },
    catalog: { port: 0 },
    topics: { events: { value: { decode: "json" } } },
  };
  writeFileSync(join(directory, "inlet.yaml"), stringify(config));
  const args = [join(checkout, "src/cli.ts"), "start", "-c", join(directory, "inlet.yaml")];
  const http = `http://127.0.0.1:${httpPort}`;
  await using broker = await start(
    "least-privilege",
    process.execPath,
    [...permissions(join(directory, "data")), ...args],
    { ready: () => answers(`${http}/health/ready`), env: { NODE_COMPILE_CACHE: "" } },
  );
  const producer = new Kafka({ brokers: [`127.0.0.1:${kafkaPort}`], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  await producer.send({ topic: "events", messages: [{ value: '{"a":1}' }] });
  await producer.disconnect();
  const flushed = await fetch(`${http}/v1/tables/events/flush`, { method: "POST" });
  expect([flushed.status, await flushed.json()]).toMatchObject([200, { committedTo: { 0: 1 } }]);
  expect(broker.output()).not.toMatch(/ERR_ACCESS_DENIED/);
  const page = readFileSync(join(checkout, "docs/security.md"), "utf8");
  expect(page).toContain(permissions("/data").join(" "));
});

test("the image runs as another user than root, and writes to its volume", () => {
  const lines = readFileSync(join(checkout, "Dockerfile"), "utf8").split("\n");
  const user = lines.indexOf("USER node");
  expect(user).toBeGreaterThan(0);
  expect(lines.slice(user).filter((line) => /^(USER|RUN|COPY|ADD)/.test(line))).toEqual(["USER node"]);
  expect(lines).toContain("ENV INLET_DATA_DIRECTORY=/data");
  expect(lines).toContain("VOLUME /data");
});

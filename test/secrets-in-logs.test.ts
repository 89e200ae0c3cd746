/** Proves: no secret that a broker is given, or that clients show it, is in any line that it prints at its most talkative. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { startInlet } from "./support/inlet-process.ts";
import { freePort } from "./support/processes.ts";

/** Found by its middle in whatever it becomes a part of. */
const secret = (of: string): string => `hunter2-${of}-secret`;

test("in its configuration, in passwords right and wrong, in tokens", { timeout: 120_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-secrets-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, "token"), secret("file"), { mode: 0o600 });
  const saslPort = await freePort();
  const config = {
    logging: { level: "debug" },
    http: { token: `\${env:HTTP_TOKEN}` },
    delegation: { token: { secret: secret("delegation") } },
    sasl: { users: { alice: { password: secret("password") } } },
    authorizer: { enabled: true },
    super: { users: ["User:alice"] },
    listeners: {
      open: { port: await freePort() },
      sasl: { port: saslPort, protocol: "SASL_PLAINTEXT", mechanisms: ["PLAIN"], allow_plain_without_tls: true },
    },
    registry: { token: `\${file:${join(directory, "token")}}` },
    // Nobody listens there: what fails is told with its cause.
    lake: {
      catalogs: { main: { type: "rest", uri: "http://127.0.0.1:1", auth: { token: secret("catalog") } } },
    },
    topics: { events: { value: { decode: "json" }, commit: { every: "5s" } } },
  };
  await using broker = await startInlet({ directory, config, env: { HTTP_TOKEN: secret("http") } });
  const attempt = async (password: string): Promise<void> => {
    const sasl = { mechanism: "plain", username: "alice", password } as const;
    const kafka = new Kafka({
      brokers: [`127.0.0.1:${saslPort}`],
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
      sasl,
    });
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: "events", messages: [{ value: '{"a":1}' }] });
    await producer.disconnect();
  };
  await attempt(secret("password"));
  await expect(attempt(secret("wrong"))).rejects.toThrow();
  const flush = async (token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`${broker.http}/v1/tables/events/flush`, { method: "POST", headers })).status;
  };
  expect(await flush(secret("no"))).toBe(401);
  expect(await flush(secret("http"))).toBeGreaterThanOrEqual(400); // The catalog does not answer.
  await expect.poll(() => broker.running.output(), { timeout: 30_000 }).toContain("GET http://127.0.0.1:1/");
  const lines = broker.running.output();
  expect(lines).toContain('"message":"access allowed"');
  expect(lines).toContain('"message":"authentication failed"');
  expect(lines.match(/hunter2-\w+-secret/g)).toBe(null);
  // Nor in base64, wherever it begins.
  const encoded = ["", "a", "ab"].map((before) =>
    Buffer.from(before + secret(""))
      .toString("base64")
      .slice(4, 12),
  );
  expect(encoded.filter((part) => lines.includes(part))).toEqual([]);
});

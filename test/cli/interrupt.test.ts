/** Proves: Ctrl-C ends a command that waits for others at once, in silence, and a broker that is still starting, too. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkout } from "../support/processes.ts";

/** Takes connections, and says nothing. */
let silent: Server;
let address: string;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "inlet-interrupt-"));
  silent = createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
});
afterAll(() => {
  silent.close();
  rmSync(directory, { recursive: true });
});

test.each([
  ["topic list", () => ["--brokers", address, "topic", "list"]],
  ["table verify", () => ["--admin", `http://${address}`, "table", "verify", "orders"]],
  [
    "start, before the store has answered",
    () => [
      "start",
      `--data-directory=${join(directory, "data")}`,
      "--kafka-port=0",
      `--object-store-url=s3://lake?endpoint=http://${address}&accessKey=a&secretKey=b`,
    ],
  ],
])("%s", async (_, args) => {
  const child = spawn(join(checkout, "bin/inlet"), args(), { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = once(child, "exit");
  await Promise.race([once(silent, "connection"), ended]);
  child.kill("SIGINT");
  const patience = setTimeout(() => child.kill("SIGKILL"), 5000);
  const [code] = await ended;
  clearTimeout(patience);
  expect([code, said]).toEqual([130, ""]);
});

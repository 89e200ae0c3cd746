/** Proves: a handshake ends in time or not at all, half of one holds up nobody, and nothing weak is spoken. */
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { dispatcher } from "../../src/protocol/dispatch.ts";
import { encodeRequest } from "../../src/protocol/frame.ts";
import type { KafkaListener } from "../../src/server/kafka-listener.ts";
import { TlsFiles } from "../../src/server/tls-files.ts";
import { Authority, hasOpenssl } from "../support/certificates.ts";
import { silent } from "../support/seeded.ts";
import { openTestListener } from "./test-listener.ts";

const handshakeMsMax = 300;

describe.skipIf(!hasOpenssl)("a listener with TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-tls-"));
  let authority: Authority;
  let files: TlsFiles;
  let listener: KafkaListener;

  beforeAll(async () => {
    authority = new Authority(directory, "root");
    const { certificate, key } = authority.issue("server", "/CN=localhost");
    const { clock } = systemRuntime();
    const paths = { certificate, key, clientCa: null };
    files = await TlsFiles.open({ paths, reloadMs: 60_000, clock, logger: silent });
    listener = await openTestListener({
      dispatcher: dispatcher({ heartbeat: async () => ({ errorCode: 0 }) }),
      clock,
      tls: { files, clientAuth: "none", mapping: [], handshakeMsMax },
    });
  });
  afterAll(async () => {
    await listener[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  const address = () => ({ host: listener.host, port: listener.port });

  async function established(options: object = {}): Promise<TLSSocket> {
    const socket = connect({
      ...address(),
      ca: readFileSync(authority.certificate),
      servername: "localhost",
      ...options,
    });
    await once(socket, "secureConnect");
    return socket;
  }

  /** Milliseconds until a heartbeat is answered. */
  async function beat(socket: TLSSocket): Promise<number> {
    const body = { groupId: "g", generationId: 1, memberId: "m" };
    const before = performance.now();
    socket.write(joined(encodeRequest({ api: "heartbeat", version: 4, correlationId: 1, clientId: "c" }, body)));
    await once(socket, "data");
    return performance.now() - before;
  }

  async function closed(socket: Socket): Promise<void> {
    socket.on("error", () => socket.destroy()); // A reset is a close to us.
    socket.resume();
    if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve)); // once() throws at an error.
  }

  test.each([
    ["ECDHE-ECDSA-AES128-SHA", "TLSv1.2"],
    ["ECDHE-ECDSA-AES256-SHA384", "TLSv1.2"],
    ["AES128-GCM-SHA256", "TLSv1.2"],
    ["AECDH-AES256-SHA", "TLSv1.2"],
    ["NULL-SHA256", "TLSv1.2"],
  ])("does not speak %s", async (ciphers, maxVersion) => {
    const asked = { ciphers: `${ciphers}:@SECLEVEL=0`, maxVersion };
    await expect(established(asked)).rejects.toThrow();
  });

  test("closes a handshake that does not begin, does not go on, or comes byte by byte", async () => {
    const hello = Buffer.from("16030100c8010000c40303", "hex");
    const sockets = [Buffer.alloc(0), hello, hello.subarray(0, 1)].map((bytes) => {
      const socket = connectTcp(address());
      socket.write(bytes);
      return socket;
    });
    const drips = setInterval(() => sockets[2]?.write(Buffer.of(3)), 50);
    try {
      await Promise.all(sockets.map(closed));
    } finally {
      clearInterval(drips);
    }
  });

  test("serves who is in while five hundred handshakes are half done", { timeout: 30_000 }, async () => {
    const client = await established();
    await beat(client);
    const half = Array.from({ length: 500 }, () => {
      const socket = connectTcp(address());
      socket.write(Buffer.from("16030100c8010000c40303", "hex"));
      return socket;
    });
    const ends = half.map(closed);
    await Promise.all(half.filter(({ connecting }) => connecting).map((socket) => once(socket, "connect")));
    const times: number[] = [];
    for (let count = 0; count < 21; count += 1) times.push(await beat(client));
    expect(times.sort((a, b) => a - b)[10]).toBeLessThan(50);
    await Promise.all(ends);
    await beat(client);
    client.destroy();
  });
});

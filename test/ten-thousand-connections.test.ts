/** Proves: ten thousand connections that only listen cost a bounded memory each, and hold up nobody. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { KiB } from "../src/base/settings.ts";
import { type InletBroker, startInlet } from "./support/inlet-process.ts";
import { RawClient } from "./support/raw-client.ts";

const connections = 10_000;
/** Fewer than wait in the queue of a listening socket: what comes beyond it is not connected, and does not know it. */
const openedAtOnce = 100;
const bytesPerConnectionMax = 48 * KiB;

test("ten thousand idle connections", { timeout: 120_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-connections-"));
  const sockets: Socket[] = [];
  try {
    const max = connections + 100;
    const limits = { max, per: { host: { max }, second: { max } } };
    await using broker = await startInlet({ directory, config: { kafka: { connections: limits } } });
    const [host, port] = broker.bootstrap.split(":") as [string, string];
    const address = { host, port: Number(port) };
    const alone = await callTimes(address);
    const before = await residentBytes(broker);
    while (sockets.length < connections) {
      sockets.push(...(await Promise.all(Array.from({ length: openedAtOnce }, () => opened(address)))));
      await callTimes(address, 1); // Who came before it has been accepted.
    }
    const crowded = await callTimes(address);
    const grown = (await residentBytes(broker)) - before;
    console.log(
      `${(grown / connections / KiB).toFixed(1)} KiB of memory a connection; ` +
        `a call takes ${alone.toFixed(2)} ms alone, ${crowded.toFixed(2)} ms among ten thousand`,
    );
    expect(await metric(broker, "kafka_server_socket_server_metrics_connection_count")).toBeGreaterThanOrEqual(
      connections,
    );
    expect(grown / connections).toBeLessThan(bytesPerConnectionMax);
    expect(crowded).toBeLessThan(10 * alone + 5);
  } finally {
    for (const socket of sockets) socket.destroy();
    rmSync(directory, { recursive: true, force: true });
  }
});

async function opened(address: { readonly host: string; readonly port: number }): Promise<Socket> {
  const socket = connect(address);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return socket;
}

/** The median of some calls on a connection of its own, in milliseconds. */
async function callTimes(address: { readonly host: string; readonly port: number }, calls = 100): Promise<number> {
  await using client = await RawClient.open(address);
  const times: number[] = [];
  for (let call = 0; call < calls; call += 1) {
    const before = performance.now();
    await client.call("apiVersions", 3, { clientSoftwareName: "idle", clientSoftwareVersion: "1" });
    times.push(performance.now() - before);
  }
  return times.sort((a, b) => a - b)[calls >> 1] as number;
}

async function residentBytes(broker: InletBroker): Promise<number> {
  return await metric(broker, "process_resident_memory_bytes");
}

/** The sum over its labels. */
async function metric({ http }: InletBroker, name: string): Promise<number> {
  const text = await (await fetch(`${http}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  expect(lines).not.toEqual([]);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

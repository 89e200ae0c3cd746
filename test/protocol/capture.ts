/**
 * Captures what stock clients send, on loopback, into golden/requests.json:
 *
 *   node test/protocol/capture.ts
 *
 * One frame for each client, API and version. Run it again when a client is upgraded, and look at the difference.
 */
import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { systemRuntime } from "../../src/base/runtime.ts";
import { apiNameOf } from "../../src/protocol/api-table.ts";
import { dispatcher } from "../../src/protocol/dispatch.ts";
import { FrameAssembler } from "../../src/server/frame-assembler.ts";
import { openTestListener } from "../server/test-listener.ts";
import { heapFrames } from "../support/heap-frames.ts";
import { stockClients } from "./stock-clients.ts";
import { stubHandlers } from "./stub-broker.ts";

interface Captured {
  readonly client: string;
  readonly api: string;
  readonly version: number;
  /** Hexadecimal, without the length. */
  readonly frame: string;
}

const captured = new Map<string, Captured>();

/** Stands between a client and the stub broker. */
async function capture(
  client: string,
  versionsBelow: number,
  run: (address: { host: string; port: number }) => Promise<unknown>,
): Promise<void> {
  const own = { host: "127.0.0.1", port: 0 };
  const listener = await openTestListener({
    dispatcher: dispatcher(stubHandlers({ address: () => own, versionsBelow })),
    clock: systemRuntime().clock,
  });
  const tap = createServer((socket) => {
    const frames = new FrameAssembler({ frameBytesMax: 10_000_000, memory: heapFrames });
    const upstream = connect(listener.port, listener.host);
    socket.on("data", (chunk) => {
      frames.push(chunk);
      for (let frame = frames.next(); frame !== undefined; frame = frames.next()) remember(client, frame);
      upstream.write(chunk);
    });
    upstream.on("data", (chunk) => socket.write(chunk));
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      one.on("close", () => other.destroy());
      one.on("error", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => tap.listen(0, own.host, resolve));
  own.port = (tap.address() as { port: number }).port;
  const consumed = await run(own).catch((error: unknown) => error);
  console.log(client, -versionsBelow, consumed);
}

function remember(client: string, frame: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const api = apiNameOf(view.getInt16(0)) ?? `key ${view.getInt16(0)}`;
  const version = view.getInt16(2);
  const key = `${client} ${api} ${version}`;
  if (!captured.has(key)) captured.set(key, { client, api, version, frame: Buffer.from(frame).toString("hex") });
}

for (const { name, versionsBelow, run } of stockClients)
  for (const below of versionsBelow) await capture(name, below, run);
const rows = [...captured.values()].sort(
  (a, b) => `${a.client} ${a.api}`.localeCompare(`${b.client} ${b.api}`) || a.version - b.version,
);
const file = new URL("golden/requests.json", import.meta.url);
writeFileSync(file, `[\n${rows.map((row) => JSON.stringify(row)).join(",\n")}\n]\n`);
console.log(rows.length, "frames");
process.exit(0); // Clients leave timers and sockets behind.

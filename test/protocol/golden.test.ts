/** Proves: what stock clients send (captured by capture.ts) is read, and said again gives the same bytes; and stock clients
 *  read what we answer. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { apiNames } from "../../src/protocol/api-table.ts";
import { dispatcher } from "../../src/protocol/dispatch.ts";
import { decodeRequest, encodeRequest } from "../../src/protocol/frame.ts";
import { checkBatch } from "../../src/protocol/record-batch.ts";
import { openTestListener } from "../server/test-listener.ts";
import { stockClients } from "./stock-clients.ts";
import { stubHandlers } from "./stub-broker.ts";

interface Captured {
  readonly client: string;
  readonly api: string;
  readonly version: number;
  readonly frame: string;
}

const captured = JSON.parse(
  readFileSync(new URL("golden/requests.json", import.meta.url), "utf8"),
) as readonly Captured[];

const limits = { served: new Set(apiNames), elementsMax: 1000 };

test("the capture is of both clients and of many APIs", () => {
  expect(new Set(captured.map(({ client }) => client)).size).toBe(2);
  expect(new Set(captured.map(({ api }) => api)).size).toBeGreaterThanOrEqual(20);
});

test.each(captured.map((row) => [`${row.client} ${row.api} ${row.version}`, row] as const))("%s", (_name, row) => {
  const decoded = decodeRequest(Buffer.from(row.frame, "hex"), limits);
  if (decoded.kind !== "request") throw new Error(`not a request: ${decoded.kind}`);
  const { request } = decoded;
  expect([request.api, request.version]).toEqual([row.api, row.version]);
  expect(
    Buffer.from(joined(encodeRequest(request, request.body)))
      .toString("hex")
      .slice(8),
  ).toBe(row.frame);
  if (request.api !== "produce") return;
  const batches = request.body.topicData.flatMap((topic) => topic.partitionData.map(({ records }) => records));
  expect(batches.length).toBeGreaterThan(0);
  for (const batch of batches) expect(checkBatch(batch ?? new Uint8Array(0))).toBeUndefined();
});

test.each(
  stockClients.flatMap(({ name, versionsBelow, run }) =>
    versionsBelow.slice(0, 2).map((below) => [name, below, run] as const),
  ),
)("%s produces, consumes and administers, %i versions below the newest", async (_name, versionsBelow, run) => {
  const address = { host: "127.0.0.1", port: 0 };
  await using listener = await openTestListener({
    dispatcher: dispatcher(stubHandlers({ address: () => address, versionsBelow })),
    clock: systemRuntime().clock,
  });
  address.port = listener.port;
  expect(await run(address)).toEqual(["one", "two", "three", "zipped"]);
  expect(listener.failures).toEqual([]);
});

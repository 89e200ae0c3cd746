/** What clients tell of themselves (KIP-714), where no subscription asks for anything: those are the cluster's. */
import { uuidZero } from "../../../src/base/ids.ts";
import type { Generator } from "../generator.ts";
import { clientInstanceOf, subscriptionOf } from "../step.ts";

/** A connection of its own: where one ends, Kafka forgets who was at it. */
const label = "client";

/** Now and then the client that the broker knows; one interval is longer than a sequence. */
export const getTelemetrySubscriptions: Generator<"getTelemetrySubscriptions"> = (draw) => ({
  api: "getTelemetrySubscriptions",
  version: 0,
  connection: label,
  label,
  body: { clientInstanceId: draw.mostly(uuidZero, [clientInstanceOf(label)], 0.2) },
});

export const pushTelemetry: Generator<"pushTelemetry"> = (draw) => ({
  api: "pushTelemetry",
  version: 0,
  connection: label,
  body: {
    clientInstanceId: draw.mostly(clientInstanceOf(label), [uuidZero], 0.1),
    subscriptionId: draw.mostly(subscriptionOf(label), [12345], 0.1),
    terminating: draw.chance(0.2),
    compressionType: draw.mostly(0, [1, 4, 5, 99, -1], 0.15),
    metrics: draw.mostly(gauge, [new Uint8Array(0), Uint8Array.of(0xff, 0xff), new Uint8Array((1 << 20) + 1)], 0.3),
  },
});

/** MetricsData of one gauge `a`, whose value is 0. */
const gauge = Uint8Array.of(0x0a, 11, 0x12, 9, 0x12, 7, 0x0a, 1, 97, 0x2a, 2, 0x0a, 0);

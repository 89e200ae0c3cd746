/** A listener with generous limits, without logs and metrics. */
import type { Clock } from "../../src/base/runtime.ts";
import { Slabs } from "../../src/base/slabs.ts";
import type { Dispatcher } from "../../src/protocol/dispatch.ts";
import {
  type KafkaListener,
  type KafkaListenerLimits,
  openKafkaListener,
  type SaslOptions,
} from "../../src/server/kafka-listener.ts";

const MiB = 1024 * 1024;

export const testLimits: KafkaListenerLimits = {
  requestBytesMax: 100 * MiB,
  strangerRequestBytesMax: 512 * 1024,
  authenticationMsMax: 10_000,
  requestElementsMax: 100_000,
  requestMemoryBytesMax: 64 * MiB,
  smallRequestBytesMax: 65_536,
  smallRequestMemoryBytesMax: 8 * MiB,
  requestsInFlightMax: 10,
  connectionBytesMax: 64 * MiB,
  answerMemoryBytesMax: 64 * MiB,
  connectionsMax: 3000,
  connectionsPerHostMax: 3000,
  connectionsPerSecondMax: 10_000,
  idleMsMax: 60_000,
  arrivalGraceMs: 5_000,
  arrivalBytesPerSecondMin: 1_000,
  closeMsMax: 2_000,
};

const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const ignored = { set() {}, observe() {} };

export async function openTestListener(options: {
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly limits?: Partial<KafkaListenerLimits>;
  readonly sasl?: SaslOptions;
  readonly tls?: Parameters<typeof openKafkaListener>[0]["tls"];
}): Promise<KafkaListener & { readonly failures: unknown[] }> {
  const failures: unknown[] = [];
  const listener = await openKafkaListener({
    name: "test",
    host: "127.0.0.1",
    port: 0,
    dispatcher: options.dispatcher,
    sasl: options.sasl,
    tls: options.tls,
    limits: { ...testLimits, ...options.limits },
    slabs: new Slabs(),
    clock: options.clock,
    logger: silent,
    metrics: {
      requestSeconds: ignored,
      requestsInFlight: ignored,
      connections: ignored,
      requestBytesHeld: ignored,
      answerBytesHeld: ignored,
    },
    failed: (cause) => failures.push(cause),
  });
  return Object.assign(listener, { failures });
}

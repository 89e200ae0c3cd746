/** Metrics that clients push to the broker (KIP-714). */
import { array, boolean, bytes, int8, int16, int32, message, optional, string, uuid } from "../../src/base/codec.ts";

export const getTelemetrySubscriptionsRequest = message({
  name: "GetTelemetrySubscriptionsRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    /** Zero the first time: the broker then gives the client an id. */
    clientInstanceId: uuid,
  },
});

export const getTelemetrySubscriptionsResponse = message({
  name: "GetTelemetrySubscriptionsResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    clientInstanceId: uuid,
    subscriptionId: int32,
    acceptedCompressionTypes: array(int8),
    pushIntervalMs: int32,
    telemetryMaxBytes: int32,
    deltaTemporality: boolean,
    /** Prefixes of names; empty: none is wanted; one empty prefix: all are. */
    requestedMetrics: array(string),
  },
});

export const pushTelemetryRequest = message({
  name: "PushTelemetryRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    clientInstanceId: uuid,
    subscriptionId: int32,
    terminating: boolean,
    compressionType: int8,
    /** MetricsData of OTLP, compressed. */
    metrics: bytes,
  },
});

export const pushTelemetryResponse = message({
  name: "PushTelemetryResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
  },
});

/**
 * Requests and responses on the wire.
 *
 *   request   | int32 length | int16 api key | int16 version | int32 correlation id | string client id | [tags] | body |
 *   response  | int32 length | int32 correlation id | [tags] | body |
 *
 * The tags are there in flexible versions (header 2 of requests, header 1 of responses). The client id is never compact.
 * No length is in the bytes that these functions take; encoded frames begin with it.
 */

import { errorCode } from "../../schemas/kafka/errors.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Message } from "../base/codec.ts";
import { skipTags } from "../base/codec-runtime.ts";
import { assert } from "../base/errors.ts";
import {
  type ApiName,
  advertised,
  apiNameOf,
  apis,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from "./api-table.ts";

export interface RequestHeader<Name extends ApiName = ApiName> {
  readonly api: Name;
  readonly version: number;
  readonly correlationId: number;
  readonly clientId: string | null;
}

/** One member an API, so that a switch over `api` knows the body. */
export type DecodedRequest = {
  readonly [Name in ApiName]: RequestHeader<Name> & { readonly body: RequestOf<Name> };
}[ApiName];

export type RequestFrame =
  | { readonly kind: "request"; readonly request: DecodedRequest }
  /** KIP-511: answered with `encodeApiVersionsFallback`, so that the client can try a lower version. */
  | { readonly kind: "unsupported-api-versions"; readonly correlationId: number }
  /** No answer would be understood: the connection is closed. */
  | { readonly kind: "unsupported"; readonly key: number; readonly version: number };

export interface DecodeLimits {
  /** Only these are decoded; other keys are unsupported. */
  readonly served: ReadonlySet<ApiName>;
  readonly elementsMax: number;
}

/** Twice what the longest client id takes. */
const headerBytesMax = 65_536;

/**
 * Throws CorruptData. Byte strings in the body are views of the frame: borrowed. Bytes after the body are not looked at, as
 * in Kafka: librdkafka leaves three of them when it asks for the metadata of all topics.
 */
export function decodeRequest(frame: Uint8Array, limits: DecodeLimits): RequestFrame {
  const reader = new ByteReader(frame, { source: "request header", elementsMax: limits.elementsMax });
  const key = reader.int16();
  const version = reader.int16();
  const correlationId = reader.int32();
  const api = apiNameOf(key);
  if (api === undefined || !limits.served.has(api)) return { kind: "unsupported", key, version };
  const message = apis[api].request as Message<unknown>;
  if (version < message.versions[0] || version > message.versions[1]) {
    // The rest may have a form that is not known yet, so it is not looked at.
    return api === "apiVersions"
      ? { kind: "unsupported-api-versions", correlationId }
      : { kind: "unsupported", key, version };
  }
  const clientIdBytes = reader.int16();
  const clientId = clientIdBytes < 0 ? null : reader.utf8(clientIdBytes);
  if (isFlexible(message, version)) skipTags(reader);
  if (reader.position > headerBytesMax) reader.corrupt(`a header of at most ${headerBytesMax} bytes`, "a longer one");
  const body = message.read(reader, version);
  return { kind: "request", request: { api, version, correlationId, clientId, body } as DecodedRequest };
}

/** A frame as views, its length first. Records are in it by reference. */
export function encodeResponse<Name extends ApiName>(
  header: Pick<RequestHeader<Name>, "api" | "version" | "correlationId">,
  body: ResponseInputOf<Name>,
): readonly Uint8Array[] {
  const steps = responseSteps(header, body);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same; at each `yield` others may have their turn. */
export function* responseSteps<Name extends ApiName>(
  header: Pick<RequestHeader<Name>, "api" | "version" | "correlationId">,
  body: ResponseInputOf<Name>,
): Generator<void, readonly Uint8Array[], void> {
  const api = apis[header.api];
  const writer = new ByteWriter();
  writer.int32(0);
  writer.int32(header.correlationId);
  if (api.responseHeader(header.version) === 1) writer.uvarint(0);
  yield* (api.response as Message<unknown>).writeInSteps(writer, header.version, body);
  return withLength(writer);
}

/** Version 0 whatever was asked for, and only ApiVersions in it: what every client can read (KIP-511). */
export function encodeApiVersionsFallback(correlationId: number): readonly Uint8Array[] {
  return encodeResponse(
    { api: "apiVersions", version: 0, correlationId },
    { errorCode: errorCode.UNSUPPORTED_VERSION, apiKeys: advertised(["apiVersions"]) },
  );
}

/** For clients of ours: brokers among each other, tools, tests. */
export function encodeRequest<Name extends ApiName>(
  header: RequestHeader<Name>,
  body: RequestInputOf<Name>,
): readonly Uint8Array[] {
  const message = apis[header.api].request as Message<unknown>;
  const writer = new ByteWriter();
  writer.int32(0);
  writer.int16(apis[header.api].key);
  writer.int16(header.version);
  writer.int32(header.correlationId);
  const clientId = header.clientId === null ? null : Buffer.from(header.clientId, "utf8");
  writer.int16(clientId === null ? -1 : clientId.length);
  if (clientId !== null) writer.bytes(clientId);
  if (isFlexible(message, header.version)) writer.uvarint(0);
  message.write(writer, header.version, body);
  return withLength(writer);
}

/** Throws CorruptData. The caller knows from the order of its requests which one is answered. */
export function decodeResponse<Name extends ApiName>(
  frame: Uint8Array,
  api: Name,
  version: number,
): { readonly correlationId: number; readonly body: ResponseOf<Name> } {
  const reader = new ByteReader(frame, { source: `${api} response` });
  const correlationId = reader.int32();
  if (apis[api].responseHeader(version) === 1) skipTags(reader);
  const body = (apis[api].response as Message<unknown>).read(reader, version) as ResponseOf<Name>;
  if (reader.remaining > 0) reader.corrupt(`the end of the ${api} response`, `${reader.remaining} more bytes`);
  return { correlationId, body };
}

function isFlexible(message: { readonly flexible: number | undefined }, version: number): boolean {
  return message.flexible !== undefined && version >= message.flexible;
}

function withLength(writer: ByteWriter): readonly Uint8Array[] {
  assert(writer.length <= 0x7fff_ffff, "a frame's length is an int32");
  writer.patchInt32(0, writer.length - 4);
  return writer.finish();
}

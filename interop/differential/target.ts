/** One of the two brokers: its connections, and what it has said of itself in a run. */
import { crc32c } from "@node-rs/crc32";
import { joined } from "../../src/base/bytes.ts";
import { type Uuid, uuidZero } from "../../src/base/ids.ts";
import { type ApiName, type RequestInputOf, type ResponseOf } from "../../src/protocol/api-table.ts";
import { decodeResponse, encodeRequest } from "../../src/protocol/frame.ts";
import { buildBatch } from "../../src/protocol/records.ts";
import type { RawClient } from "../../test/support/raw-client.ts";
import { authenticatePlain, connectTo } from "../../test/support/sasl-client.ts";
import { type BatchFault, type BatchSpec, fresh, Placeholder, password, type Step, userPrefix } from "./step.ts";

/** What a broker did with a request. */
export type Outcome =
  | { readonly kind: "answer"; readonly body: unknown }
  | { readonly kind: "closed" }
  /** The answer does not follow the schema. */
  | { readonly kind: "undecodable"; readonly why: string };

/** An id that no broker gives out. */
export const unknownId = "00000000-0000-0000-0000-0000000000ff" as Uuid;

export class Target implements AsyncDisposable {
  readonly prefix: string;
  readonly startMs: number;
  /** Of leaders: where a new topic begins. */
  readonly #bootstrap: string;
  /** Where users authenticate. */
  readonly #sasl: string;
  readonly #connections = new Map<string, RawClient>();
  readonly #topicIds = new Map<string, Uuid>();
  readonly #members = new Map<string, string>();
  readonly #generations = new Map<string, number>();
  readonly #producers = new Map<string, { readonly id: number; readonly epoch: number }>();
  /** In the order in which the broker gave them out. */
  readonly memberNames = new Map<string, string>();
  readonly producerNames = new Map<number, string>();
  readonly #sessions = new Map<string, number>();
  readonly #tokens = new Map<string, Uint8Array>();
  /** By their ids, in the order in which the broker gave them out. */
  readonly tokenNames = new Map<string, string>();
  readonly #subscriptions = new Map<string, { readonly id: Uuid; readonly subscription: number }>();

  constructor(options: {
    readonly bootstrap: string;
    readonly sasl: string;
    readonly prefix: string;
    readonly startMs: number;
  }) {
    this.prefix = options.prefix;
    this.startMs = options.startMs;
    this.#bootstrap = options.bootstrap;
    this.#sasl = options.sasl;
  }

  get topicIds(): ReadonlyMap<string, Uuid> {
    return this.#topicIds;
  }

  /** Sends the step; the outcome comes when it comes. */
  async send(step: Step): Promise<Outcome> {
    await this.#learnTopicIds(step.body);
    const body = this.#resolved(step.body);
    const client = await this.#connection(step.connection);
    const correlationId = 7;
    const header = { api: step.api, version: step.version, correlationId, clientId: "differ" } as const;
    let frame = joined(encodeRequest(header, body as RequestInputOf<ApiName>));
    if (step.mangle?.kind === "cut") frame = frame.subarray(0, Math.max(14, frame.length - step.mangle.bytes));
    const bytes = Uint8Array.from(frame);
    const view = new DataView(bytes.buffer);
    view.setInt32(0, bytes.length - 4);
    if (step.mangle?.kind === "version") view.setInt16(6, step.mangle.to);
    client.send(bytes);
    try {
      return this.#outcome(step, await client.frame());
    } catch {
      await this.#forget(step.connection); // The only way that reading fails.
      return { kind: "closed" };
    }
  }

  #outcome(step: Step, frame: Uint8Array): Outcome {
    const version = step.mangle?.kind === "version" ? step.mangle.to : step.version;
    for (const candidate of step.api === "apiVersions" ? [version, 0] : [version]) {
      try {
        const { body } = decodeResponse(frame, step.api, candidate);
        this.#learn(step, body);
        return { kind: "answer", body };
      } catch (cause) {
        if (candidate === 0 || step.api !== "apiVersions") return { kind: "undecodable", why: String(cause) };
      }
    }
    return { kind: "undecodable", why: "no version fits" };
  }

  async call<Name extends ApiName>(api: Name, version: number, body: RequestInputOf<Name>): Promise<ResponseOf<Name>> {
    return await (await this.#connection("aside")).call(api, version, body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#connections.keys()) await this.#forget(name);
  }

  async #connection(name: string): Promise<RawClient> {
    const known = this.#connections.get(name);
    if (known !== undefined) return known;
    const isUser = name.startsWith(userPrefix);
    const client = await connectTo(isUser ? this.#sasl : this.#bootstrap);
    if (isUser) await authenticatePlain(client, name.slice(userPrefix.length).split(" ")[0] as string, password);
    this.#connections.set(name, client);
    return client;
  }

  async #forget(name: string): Promise<void> {
    const client = this.#connections.get(name);
    this.#connections.delete(name);
    await client?.[Symbol.asyncDispose]();
  }

  /** A deleted topic keeps its last id here. */
  async #learnTopicIds(body: unknown): Promise<void> {
    const names = new Set<string>();
    visit(body, (value) => {
      if (value instanceof Placeholder && value.kind === "topicId") names.add(this.#text(value.name));
    });
    if (names.size > 0) await this.learnTopics([...names]);
  }

  async learnTopics(names: readonly string[] | null): Promise<void> {
    const topics = names?.map((name) => ({ name, topicId: uuidZero })) ?? null;
    const { topics: found } = await this.call("metadata", 12, { topics, allowAutoTopicCreation: false });
    for (const { name, topicId, errorCode } of found)
      if (errorCode === 0 && name !== null) this.#topicIds.set(name, topicId);
  }

  #learn(step: Step, body: unknown): void {
    const { label } = step;
    if (step.api === "createTopics")
      for (const { name, topicId } of (body as ResponseOf<"createTopics">).topics)
        if (topicId !== uuidZero) this.#topicIds.set(name, topicId);
    if (label === undefined) return;
    if (step.api === "joinGroup") {
      const { memberId, generationId } = body as ResponseOf<"joinGroup">;
      if (memberId !== "" && memberId !== "stranger") {
        this.#members.set(label, memberId);
        if (!this.memberNames.has(memberId)) this.memberNames.set(memberId, `member ${this.memberNames.size}`);
      }
      if (generationId >= 0) this.#generations.set(label, generationId);
    } else if (/^(streams|consumer|share)GroupHeartbeat$/.test(step.api)) {
      const { errorCode, memberEpoch } = body as ResponseOf<"streamsGroupHeartbeat">;
      if (errorCode === 0 && memberEpoch >= 0) this.#generations.set(label, memberEpoch);
    } else if (step.api === "initProducerId" || step.api === "endTxn") {
      // The end of a transaction gives the producer a new epoch, where it says one.
      const { producerId, producerEpoch } = body as ResponseOf<"initProducerId">;
      if (producerId < 0) return;
      this.#producers.set(label, { id: producerId, epoch: producerEpoch });
      if (!this.producerNames.has(producerId))
        this.producerNames.set(producerId, `producer ${this.producerNames.size}`);
    } else if (step.api === "getTelemetrySubscriptions") {
      const { errorCode, clientInstanceId: id, subscriptionId } = body as ResponseOf<"getTelemetrySubscriptions">;
      if (errorCode === 0) this.#subscriptions.set(label, { id, subscription: subscriptionId });
    } else if (step.api === "createDelegationToken") {
      const { errorCode, tokenId, hmac } = body as ResponseOf<"createDelegationToken">;
      if (errorCode !== 0) return;
      this.#tokens.set(label, Uint8Array.from(hmac));
      this.tokenNames.set(tokenId, `token ${this.tokenNames.size}`);
    } else if (step.api === "fetch") {
      const { sessionId } = body as ResponseOf<"fetch">;
      if (sessionId > 0) this.#sessions.set(label, sessionId);
    }
  }

  #resolved(value: unknown): unknown {
    if (typeof value === "string") return this.#text(value);
    if (value instanceof Uint8Array || value === null || typeof value !== "object") return value;
    if (value instanceof Placeholder) return this.#placeholder(value);
    if (Array.isArray(value)) return value.map((element) => this.#resolved(element));
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.#resolved(inner)]));
  }

  #text(text: string): string {
    return text.replaceAll(fresh, this.prefix);
  }

  #placeholder(of: Placeholder): unknown {
    switch (of.kind) {
      case "topicId":
        return this.#topicIds.get(this.#text(of.name)) ?? unknownId;
      case "clientInstance":
        return this.#subscriptions.get(of.name)?.id ?? uuidZero;
      case "subscription":
        return this.#subscriptions.get(of.name)?.subscription ?? 0;
      case "member":
        return this.#members.get(of.name) ?? "";
      case "generation":
        return (this.#generations.get(of.name) ?? -1) + of.delta;
      case "producerId":
        return this.#producers.get(of.name)?.id ?? -1;
      case "producerEpoch":
        return (this.#producers.get(of.name)?.epoch ?? -1) + of.delta;
      case "token":
        return this.#tokens.get(of.name) ?? Uint8Array.of(1);
      case "session":
        return this.#sessions.get(of.name) ?? 0;
      case "time":
        return this.startMs + of.delta;
      case "batch":
        return this.#batch(of.batch as BatchSpec);
    }
  }

  #batch(spec: BatchSpec): Uint8Array {
    const producer = spec.producer === undefined ? undefined : this.#producers.get(spec.producer.label);
    const bytes = buildBatch({
      records: spec.records.map(({ timeDeltaMs, key, value, headers }) => ({
        timestamp: this.startMs + timeDeltaMs,
        key: key === null ? null : Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
        headers: (headers ?? []).map(([name, text]) => ({
          key: Buffer.from(name),
          value: text === null ? null : Buffer.from(text),
        })),
      })),
      compression: spec.compression,
      isTransactional: spec.isTransactional ?? false,
      isControl: spec.isControl ?? false,
      ...(spec.records.length === 0 ? { lastOffsetDelta: -1 } : {}),
      ...(spec.baseOffset === undefined ? {} : { baseOffset: spec.baseOffset as never }),
      ...(producer === undefined || spec.producer === undefined
        ? {}
        : {
            producerId: producer.id,
            producerEpoch: producer.epoch + spec.producer.epochDelta,
            baseSequence: spec.producer.sequence,
          }),
    });
    return spec.fault === undefined ? bytes : broken(Uint8Array.from(bytes), spec.fault);
  }
}

/** Field positions: src/protocol/record-batch.ts draws them. */
function broken(bytes: Uint8Array, fault: BatchFault): Uint8Array {
  const view = new DataView(bytes.buffer);
  const sealed = (): Uint8Array => {
    view.setUint32(17, crc32c(bytes.subarray(21)));
    return bytes;
  };
  switch (fault) {
    case "crc":
      view.setUint32(17, view.getUint32(17) ^ 1);
      return bytes;
    case "magic0":
    case "magic1":
      view.setInt8(16, Number(fault.slice(5)));
      return bytes;
    case "compression":
      view.setInt16(21, 7);
      return sealed();
    case "length":
      view.setInt32(8, view.getInt32(8) + 5);
      return bytes;
    case "count":
      view.setInt32(57, view.getInt32(57) + 1);
      return sealed();
    case "lastOffsetDelta":
      view.setInt32(23, view.getInt32(23) + 3);
      return sealed();
    case "cut":
      return bytes.subarray(0, bytes.length - 3);
    case "garbage":
      bytes.fill(0xff, 61);
      return sealed();
    case "maxTimestamp":
      view.setUint32(39, view.getUint32(39) + 1000);
      return sealed();
    case "deltas":
      // Records of one batch as if they were not its first: the first offset delta is the fourth byte of the first record.
      if (bytes.length > 64) view.setUint8(64, 6);
      return sealed();
  }
}

function visit(value: unknown, see: (value: unknown) => void): void {
  see(value);
  if (value === null || typeof value !== "object" || value instanceof Placeholder || value instanceof Uint8Array)
    return;
  for (const inner of Object.values(value)) visit(inner, see);
}

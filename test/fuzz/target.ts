/**
 * A whole broker without sockets, its time and its stores in memory, that is given frames as a connection gives them: decoded,
 * dispatched, the answer encoded, and read again. It says what it may not do with one.
 */

import { joined } from "../../src/base/bytes.ts";
import { CorruptData } from "../../src/base/errors.ts";
import { LogLevels } from "../../src/base/log-levels.ts";
import { KiB, MiB } from "../../src/base/settings.ts";
import { type Core, openCore } from "../../src/core.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ApiName, ResponseInputOf } from "../../src/protocol/api-table.ts";
import { type Answer, anonymous, type Dispatcher, dispatcher } from "../../src/protocol/dispatch.ts";
import { type DecodedRequest, decodeRequest, decodeResponse, encodeResponse } from "../../src/protocol/frame.ts";
import { SimClock } from "../sim/clock.ts";
import { configOf } from "../support/config.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { seededRandom, silent } from "../support/seeded.ts";
import { type Vocabulary, vocabulary } from "./hostile.ts";

export type Survived = "refused" | "unsupported" | "answered" | "closed" | "silent" | "abandoned" | "waiting";

/** The longest that one frame held the event loop, in time of the processor: other processes must not count. */
export interface Slowest {
  dispatchMs: number;
  dispatchApi: string;
  decodeMs: number;
  decodedHex: string;
}

/** Who joins waits for the others as long as it asked to; so does who syncs. Nobody else waits longer than it is there. */
const waits: ReadonlySet<ApiName> = new Set<ApiName>(["joinGroup", "syncGroup"]);

/** They may be told to wait for days, and end without an answer when their client is gone. */
const fetches: ReadonlySet<ApiName> = new Set<ApiName>(["fetch", "shareFetch"]);

/** For what takes real time: compression in the thread pool. */
const realMsMax = 5_000;

export class Target implements AsyncDisposable {
  readonly words: Vocabulary;
  readonly slowest: Slowest;
  readonly #clock: SimClock;
  readonly #core: Core;
  readonly #dispatcher: Dispatcher;
  readonly #fatal: unknown[];
  #waiting = 0;

  private constructor(fields: {
    readonly clock: SimClock;
    readonly core: Core;
    readonly words: Vocabulary;
    readonly fatal: unknown[];
    readonly slowest: Slowest;
  }) {
    this.#clock = fields.clock;
    this.#core = fields.core;
    this.words = fields.words;
    this.slowest = fields.slowest;
    this.#fatal = fields.fatal;
    this.#dispatcher = dispatcher(fields.core.handlers);
  }

  static async open(seed: number, slowest: Slowest, config = ""): Promise<Target> {
    const clock = new SimClock();
    const fatal: unknown[] = [];
    const { settings } = configOf(config, {});
    const opening = openCore({
      settings: {
        ...settings,
        dataDirectory: "/data",
        walBytesMax: 64 * MiB,
        walSegmentBytes: 4 * MiB,
        walGroupBytesMax: 1 * MiB,
        uploadIntervalMsMax: 1_500,
        blockCacheBytesMax: 256 * KiB,
        groupOffsetsPartitions: 2,
        transactionStatePartitions: 2,
      },
      runtime: { clock, random: seededRandom(seed) },
      disk: new MemoryDisk(),
      metadataLog: new MemoryLog(),
      store: new MemoryObjectStore({ clock }),
      logger: silent,
      logLevels: new LogLevels("info"),
      metrics: noMetrics,
      mirrorsMetadata: false,
      advertised: { host: "fuzz", port: 9092 },
      fatal: (cause) => fatal.push(cause),
    });
    const core = await clock.until(opening);
    const topic = { name: "fuzz", numPartitions: 2, replicationFactor: -1, assignments: [], configs: [] };
    const { createTopics } = core.handlers;
    const request = { topics: [topic], timeoutMs: 1_000, validateOnly: false };
    await clock.until(
      createTopics?.(request, context(7, new AbortController().signal)) ?? Promise.reject(new Error("no createTopics")),
    );
    const topicId = core.metadata.image.topicByName("fuzz")?.id;
    if (topicId === undefined) throw new Error("the topic was not made");
    return new Target({ clock, core, words: vocabulary({ topic: "fuzz", topicId, group: "group" }), fatal, slowest });
  }

  /** Throws when the frame had an effect that no frame may have. */
  async take(
    frame: Uint8Array,
    how: { readonly worksAside: boolean } = { worksAside: false },
  ): Promise<{ readonly outcome: Survived; readonly body?: unknown }> {
    const decoded = this.#decode(frame);
    if (decoded === undefined) return { outcome: "refused" };
    if (decoded.kind !== "request") return { outcome: "unsupported" };
    const { request } = decoded;
    const gone = new AbortController();
    const startedMs = cpuMs();
    const answering = this.#dispatcher.dispatch(request, context(request.version, gone.signal));
    this.#note(cpuMs() - startedMs, request.api);
    const answer = await this.#outcome(request, answering, gone, how.worksAside);
    if (this.#fatal.length > 0) throw new Error(`${request.api} stopped the broker`, { cause: this.#fatal[0] });
    if (answer === undefined) return { outcome: "waiting" };
    if (answer === "close") return { outcome: "closed" };
    if (answer === "no-response") {
      if (request.api === "produce" && request.body.acks === 0) return { outcome: "silent" };
      if (gone.signal.aborted && fetches.has(request.api)) return { outcome: "abandoned" };
      throw new Error(`${request.api} ${request.version} was not answered`);
    }
    const bytes = joined(encodeResponse<ApiName>(request, answer)).subarray(4);
    return { outcome: "answered", body: decodeResponse(bytes, request.api, request.version).body };
  }

  /** All that waits is answered, in its own time. Throws when something is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#clock.until(Promise.resolve(this.#core[Symbol.asyncDispose]()));
  }

  #decode(frame: Uint8Array): ReturnType<typeof decodeRequest> | undefined {
    const limits = { served: this.#dispatcher.served, elementsMax: 100_000 };
    const startedMs = cpuMs();
    try {
      return decodeRequest(frame, limits);
    } catch (error) {
      if (error instanceof CorruptData) return undefined;
      throw error;
    } finally {
      const decodeMs = cpuMs() - startedMs;
      if (decodeMs > this.slowest.decodeMs) {
        this.slowest.decodeMs = decodeMs;
        this.slowest.decodedHex = Buffer.from(frame.subarray(0, 200)).toString("hex");
      }
    }
  }

  #note(ms: number, api: ApiName): void {
    if (ms <= this.slowest.dispatchMs) return;
    this.slowest.dispatchMs = ms;
    this.slowest.dispatchApi = api;
  }

  /** undefined: it waits, and may. */
  async #outcome(
    request: DecodedRequest,
    answering: Promise<Answer<ResponseInputOf<ApiName>>>,
    gone: AbortController,
    worksAside: boolean,
  ): Promise<Answer<ResponseInputOf<ApiName>> | undefined> {
    let isSettled = false;
    const settled = (): void => void (isSettled = true);
    answering.then(settled, settled);
    // In the thread pool, while the broker's own time stands still.
    for (const deadline = performance.now() + realMsMax; worksAside && !isSettled && performance.now() < deadline; ) {
      await turnOfTheLoop();
    }
    for (let turn = 0; turn < 3 && !isSettled; turn += 1) await turnOfTheLoop();
    for (const ms of [50, 500, 5_000]) if (!isSettled) await this.#clock.run(ms);
    if (!isSettled) gone.abort(); // The client has lost its patience.
    for (const ms of [1, 10_000, 60_000]) if (!isSettled) await this.#clock.run(ms);
    for (const deadline = performance.now() + realMsMax; !isSettled && performance.now() < deadline; ) {
      await this.#clock.run(1);
      if (waits.has(request.api)) break;
    }
    if (isSettled) return await answering;
    if (!waits.has(request.api)) throw new Error(`${request.api} ${request.version} waits for ever`);
    this.#waiting += 1;
    return undefined;
  }

  get waiting(): number {
    return this.#waiting;
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function context(apiVersion: number, signal: AbortSignal) {
  return {
    apiVersion,
    correlationId: 7,
    clientId: "fuzz",
    clientHost: "127.0.0.1",
    listener: "fuzz",
    principal: anonymous,
    signal,
  };
}

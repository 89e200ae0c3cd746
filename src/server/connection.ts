/**
 * One Kafka connection: bytes in, requests to the dispatcher, answers back in the order of the requests.
 *
 *   socket ─▶ FrameIntake ─▶ decode ─▶ ResponseQueue ─▶ dispatch (several at once only for produce)
 *   socket ◀────────── views, corked ◀── in order ◀──┘
 *
 * A connection that must authenticate first has one request at a time, of few kinds and small, until it has.
 *
 * Reading stops while a budget is used up, its own or that of all, and while too many requests wait; nothing starts while the peer leaves its answers
 * unread. Whatever is not a request ends the connection, after the answers to what came before it.
 */

import type { Duplex } from "node:stream";
import { Disposal } from "../base/disposal.ts";
import { CorruptData } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import type { Gauge, Histogram } from "../base/telemetry.ts";
import type { ApiName } from "../protocol/api-table.ts";
import type { Dispatcher, Principal, RequestContext } from "../protocol/dispatch.ts";
import { type DecodedRequest, decodeRequest, encodeApiVersionsFallback, responseSteps } from "../protocol/frame.ts";
import type { AnswerEncoder } from "./answer-encoder.ts";
import { type Authenticator, strangerApis } from "./authenticator.ts";
import { type AnswerMemory, ConnectionBytes, type ConnectionBytesLimits } from "./connection-bytes.ts";
import { type CloseReason, discard, type Reply, write } from "./connection-reply.ts";
import type { FrameReader } from "./frame-budget.ts";
import { FrameIntake, type FrameIntakeLimits, type FrameIntakeOptions } from "./frame-intake.ts";
import { ResponseQueue, type Slot } from "./response-queue.ts";
import { answerSasl } from "./sasl-replies.ts";

export interface ConnectionLimits extends ConnectionBytesLimits, FrameIntakeLimits {
  readonly requestBytesMax: number;
  /** The same for who has not authenticated, where that is asked for. */
  readonly strangerRequestBytesMax: number;
  /** How long a connection may take to authenticate. */
  readonly authenticationMsMax: number;
  readonly requestElementsMax: number;
  readonly requestsInFlightMax: number;
  readonly idleMsMax: number;
  /** How long a connection that is to be closed may take to write what it still owes. */
  readonly closeMsMax: number;
}

export interface ConnectionMetrics {
  readonly requestSeconds: Histogram;
  readonly requestsInFlight: Gauge;
}

export interface ConnectionOptions {
  /** Its "data" is borrowed until the handler returns. */
  readonly socket: Duplex;
  readonly clientHost: string;
  readonly clientPort: number;
  readonly listener: string;
  /** Who it is when nobody asks any further: anonymous, or whom its certificate names. */
  readonly principal: Principal;
  /** Asks for more than a certificate; undefined where the listener does not. */
  readonly authenticator: ((signal: AbortSignal) => Authenticator) | undefined;
  readonly dispatcher: Dispatcher;
  readonly limits: ConnectionLimits;
  readonly frames: FrameIntakeOptions["memory"];
  readonly budgets: FrameIntakeOptions["budgets"];
  readonly clock: Clock;
  readonly metrics: ConnectionMetrics;
  /** Requests being answered on all connections, for the gauge. */
  readonly inFlight: { count: number };
  readonly answers: AnswerMemory;
  readonly encoder: AnswerEncoder;
  /** A handler threw, which none should: the connection closes, and the owner decides about the process. */
  readonly failed: (cause: unknown, api: ApiName) => void;
  /** `cause` tells what was wrong with the peer's bytes. */
  readonly closed: (connection: Connection, reason: CloseReason, cause: string | undefined) => void;
}

/** What a slot of the queue is to become. */
type Work =
  | { readonly kind: "request"; readonly request: DecodedRequest; readonly frame: Disposable; readonly since: number }
  | { readonly kind: "token"; readonly token: Uint8Array; readonly frame: Disposable; readonly since: number }
  | { readonly kind: "answered"; readonly answer: Reply };

type RequestWork = Extract<Work, { kind: "request" }>;

/** Batches of one producer are numbered, so their handlers keep the order in which they were called. */
const overlapping: ReadonlySet<ApiName> = new Set<ApiName>(["produce"]);

/**
 * After this many requests of a connection the others have a turn. One read may bring thousands of small ones, and where
 * handlers answer at once all of them would run before the event loop goes on.
 */
const requestsPerTurnMax = 16;

export class Connection implements FrameReader {
  readonly #options: ConnectionOptions;
  readonly #intake: FrameIntake;
  /** undefined where nobody needs to authenticate. */
  readonly #authenticator: Authenticator | undefined;
  readonly #openedMs: number;
  #client: NonNullable<RequestContext["client"]>;
  readonly #queue = new ResponseQueue<Work, Reply>();
  readonly #gone = new AbortController();
  readonly #bytes: ConnectionBytes;
  #running = 0;
  #startedSinceYield = 0;
  /** Set while the others have their turn. */
  #nextTurn: Disposable | undefined;
  /** Set while the client is made to pause. */
  #throttled: Disposable | undefined;
  #throttledUntilMs = 0;
  #lastActiveMs: number;
  #closing: { readonly reason: CloseReason; readonly cause?: string | undefined; readonly sinceMs: number } | undefined;
  /** Takes no more requests; the last slot of the queue closes. */
  #isDeaf = false;
  /** Whether a turn of #advance is on its way. */
  #isAdvancing = false;

  constructor(options: ConnectionOptions) {
    this.#client = { port: options.clientPort, softwareName: "", softwareVersion: "" };
    this.#options = options;
    this.#authenticator = options.authenticator?.(this.#gone.signal);
    const { frames: memory, budgets, limits, clock } = options;
    this.#intake = new FrameIntake({
      reader: this,
      frameBytesMax: this.#frameBytesMax,
      memory,
      budgets,
      limits,
      clock,
    });
    this.#bytes = new ConnectionBytes(options.limits, options.answers);
    this.#openedMs = options.clock.monotonic();
    this.#lastActiveMs = this.#openedMs;
    options.socket.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    options.socket.on("drain", () => {
      this.#lastActiveMs = options.clock.monotonic();
      this.#bytes.unread(options.socket.writableLength);
      this.#advance();
    });
    options.socket.on("error", () => options.socket.destroy()); // "close" follows; a lost peer is nobody's failure.
    options.socket.on("close", () => this.#end());
  }

  /** Part of FrameReader: a budget has room again. */
  resume(): void {
    this.#read();
  }

  /** Closes when it has been idle, or its frame has come too slowly. Called by the listener every second or so. */
  sweep(nowMs: number): void {
    const { limits } = this.#options;
    if (this.#closing !== undefined) {
      if (nowMs - this.#closing.sinceMs > limits.closeMsMax) this.#options.socket.destroy();
      return;
    }
    if (this.#isStrange && nowMs - this.#openedMs > limits.authenticationMsMax) {
      this.#abandon("unauthenticated");
      return;
    }
    const isIdle = this.#running === 0 && nowMs - this.#lastActiveMs > limits.idleMsMax;
    if (this.#intake.isTooSlow(nowMs)) this.#abandon("slow");
    else if (isIdle && !this.#intake.isInsideFrame) this.#abandon("idle");
  }

  /** Takes no more requests, answers those it has, then closes. */
  shutDown(): void {
    if (!this.#isDeaf) this.#answer({ kind: "close", reason: "shutdown" });
    this.#advance();
  }

  destroy(): void {
    this.#closing ??= { reason: "shutdown", sinceMs: 0 };
    this.#options.socket.destroy();
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isDeaf) return;
    this.#lastActiveMs = this.#options.clock.monotonic();
    this.#intake.push(chunk);
    this.#advance();
    this.#intake.settle();
  }

  /** Must authenticate, and has not. */
  get #isStrange(): boolean {
    return this.#authenticator?.isKnown === false;
  }

  get #frameBytesMax(): number {
    const { requestBytesMax, strangerRequestBytesMax } = this.#options.limits;
    return this.#isStrange ? strangerRequestBytesMax : requestBytesMax;
  }

  /** How a frame is read depends on the answer to the one before it, as long as tokens are exchanged. */
  get #requestsInFlightMax(): number {
    const isAlone = this.#isStrange || this.#authenticator?.takesBareTokens === true;
    return isAlone ? 1 : this.#options.limits.requestsInFlightMax;
  }

  /** Decodes what has come, as far as the queue has room for it. */
  #decode(): void {
    const nowMs = this.#options.clock.monotonic();
    try {
      while (!this.#isDeaf && this.#queue.length < this.#requestsInFlightMax && !this.#bytes.isFull) {
        const frame = this.#intake.next();
        if (frame === undefined) break;
        this.#accept(frame, nowMs);
      }
    } catch (error) {
      if (!(error instanceof CorruptData)) throw error;
      this.#answer({ kind: "close", reason: "corrupt", cause: error.message });
    }
    this.#intake.charge();
  }

  /** A complete frame. Throws CorruptData, as decoding does. */
  #accept(frame: Uint8Array, nowMs: number): void {
    const { limits, dispatcher } = this.#options;
    if (this.#authenticator?.takesBareTokens === true) {
      this.#queue.add({ kind: "token", token: frame, frame: this.#hold(frame), since: nowMs }, false);
      return;
    }
    let isKept = false;
    try {
      const served = this.#isStrange ? strangerApis : dispatcher.served;
      const decoded = decodeRequest(frame, { served, elementsMax: limits.requestElementsMax });
      isKept = decoded.kind === "request";
      this.#enqueue(decoded, frame, nowMs);
    } finally {
      if (!isKept) this.#intake.release(frame);
    }
  }

  #enqueue(decoded: ReturnType<typeof decodeRequest>, frame: Uint8Array, nowMs: number): void {
    switch (decoded.kind) {
      case "request": {
        const { request } = decoded;
        const work: Work = { kind: "request", request, frame: this.#hold(frame), since: nowMs };
        this.#queue.add(work, overlapping.has(request.api));
        return;
      }
      case "unsupported-api-versions":
        this.#answer({ kind: "views", views: encodeApiVersionsFallback(decoded.correlationId) });
        return;
      case "unsupported":
        this.#answer({
          kind: "close",
          reason: "unsupported",
          cause: `API key ${decoded.key}, version ${decoded.version}`,
        });
    }
  }

  /** Until it is disposed of, the frame counts against the budgets of all and of this connection. */
  #hold(frame: Uint8Array): Disposable {
    const place = this.#intake.hold(frame);
    this.#bytes.request(frame.length);
    return new Disposal(() => {
      this.#bytes.request(-frame.length);
      place[Symbol.dispose]();
    });
  }

  /** Puts an answer into the queue that no handler has to give. After a "close" nothing more is heard. */
  #answer(answer: Reply): void {
    if (answer.kind === "close") this.#isDeaf = true;
    this.#queue.add({ kind: "answered", answer }, false);
  }

  /** Decodes, starts and writes what may be, until nothing changes any more. */
  #advance(): void {
    if (this.#closing !== undefined) return;
    for (;;) {
      this.#decode();
      this.#flush();
      if (this.#closing !== undefined || this.#options.socket.writableNeedDrain) break;
      if (this.#nextTurn !== undefined || this.#throttled !== undefined) break;
      const slot = this.#queue.start();
      if (slot === undefined) break;
      this.#run(slot);
      this.#countStart();
    }
    this.#read();
  }

  /** One group of the WAL answers several requests in one turn: together they are one write to the socket. */
  #advanceSoon(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    queueMicrotask(() => {
      this.#isAdvancing = false;
      this.#advance();
    });
  }

  #countStart(): void {
    this.#startedSinceYield += 1;
    if (this.#startedSinceYield < requestsPerTurnMax) return;
    this.#nextTurn = this.#options.clock.after(0, () => {
      this.#nextTurn = undefined;
      this.#startedSinceYield = 0;
      this.#advance();
    });
  }

  #run(slot: Slot<Work, Reply>): void {
    const { work } = slot;
    if (work.kind === "answered") {
      this.#queue.finish(slot, work.answer);
      return;
    }
    const { inFlight, metrics, failed } = this.#options;
    const api = work.kind === "request" ? work.request.api : "saslAuthenticate";
    this.#running += 1;
    inFlight.count += 1;
    metrics.requestsInFlight.set(inFlight.count);
    const settle = (answer: Reply): void => {
      this.#running -= 1;
      inFlight.count -= 1;
      metrics.requestsInFlight.set(inFlight.count);
      metrics.requestSeconds.observe((this.#options.clock.monotonic() - work.since) / 1000, { api });
      work.frame[Symbol.dispose]();
      if (this.#options.socket.destroyed) discard(answer);
      this.#queue.finish(slot, answer);
      this.#advanceSoon();
    };
    this.#reply(work).then(settle, (cause: unknown) => {
      failed(cause, api);
      settle({ kind: "close", reason: "handler-failed" });
    });
  }

  async #reply(work: Exclude<Work, { kind: "answered" }>): Promise<Reply> {
    if (this.#authenticator === undefined) return await this.#dispatch((work as RequestWork).request);
    const answered = await answerSasl(work, this.#authenticator);
    const reply = answered ?? (await this.#dispatch((work as RequestWork).request));
    this.#intake.expect({ isRequest: !this.#authenticator.takesBareTokens, frameBytesMax: this.#frameBytesMax });
    return reply;
  }

  async #dispatch(request: DecodedRequest): Promise<Reply> {
    let granted = 0;
    const grantAnswer = (bytes: number): number => {
      this.#bytes.takeBack(granted);
      granted = this.#bytes.grant(bytes);
      return granted;
    };
    let borrowed: DisposableStack | undefined;
    const borrow = (): DisposableStack => (borrowed ??= new DisposableStack());
    let isWritten = false;
    try {
      const context = this.#context(request, { grantAnswer, borrow });
      const answer = await this.#options.dispatcher.dispatch(request, context);
      if (answer === "no-response") return { kind: "nothing" };
      if (answer === "close") return { kind: "close", reason: "refused" };
      const views = await this.#options.encoder.encode(responseSteps<ApiName>(request, answer), this.#gone.signal);
      if (views === "gone") return { kind: "nothing" };
      isWritten = true;
      return { kind: "views", views, borrowed };
    } finally {
      if (!isWritten) borrowed?.dispose();
      this.#bytes.takeBack(granted); // It is written in this turn, and counts as not read then.
    }
  }

  #context(
    request: DecodedRequest,
    { grantAnswer, borrow }: Required<Pick<RequestContext, "grantAnswer" | "borrow">>,
  ): RequestContext {
    if (request.api === "apiVersions") {
      const { clientSoftwareName: softwareName, clientSoftwareVersion: softwareVersion } = request.body;
      this.#client = { ...this.#client, softwareName, softwareVersion };
    }
    return {
      apiVersion: request.version,
      correlationId: request.correlationId,
      clientId: request.clientId,
      clientHost: this.#options.clientHost,
      client: this.#client,
      listener: this.#options.listener,
      principal: this.#authenticator?.principal ?? this.#options.principal,
      signal: this.#gone.signal,
      pause: (ms) => this.#throttle(ms),
      grantAnswer,
      borrow,
    };
  }

  /** What is pipelined behind the request that caused it waits too; what runs already goes on. */
  #throttle(ms: number): void {
    const untilMs = this.#options.clock.monotonic() + ms;
    if (this.#options.socket.destroyed || untilMs <= this.#throttledUntilMs) return;
    this.#throttledUntilMs = untilMs;
    this.#throttled?.[Symbol.dispose]();
    this.#throttled = this.#options.clock.after(ms, () => {
      this.#throttled = undefined;
      this.#lastActiveMs = this.#options.clock.monotonic();
      this.#advance();
    });
  }

  #flush(): void {
    const { socket } = this.#options;
    if (socket.destroyed) return;
    socket.cork();
    for (let reply = this.#queue.take(); reply !== undefined; reply = this.#queue.take()) {
      if (reply.kind === "close") {
        this.#close(reply.reason, reply.cause);
        break;
      }
      if (reply.kind !== "views") continue;
      write(socket, reply);
      if (reply.thenCloses === undefined) continue;
      this.#isDeaf = true;
      this.#close(reply.thenCloses, undefined);
      break;
    }
    socket.uncork();
    this.#bytes.unread(socket.writableLength);
  }

  /** Reads on or stops reading, as the limits have it. */
  #read(): void {
    const mayRead =
      !this.#isDeaf &&
      this.#throttled === undefined &&
      this.#queue.length < this.#requestsInFlightMax &&
      !this.#bytes.isFull &&
      this.#intake.mayRead();
    if (!mayRead) this.#pause();
    else if (this.#intake.resume()) this.#options.socket.resume();
  }

  #pause(): void {
    this.#intake.pause();
    this.#options.socket.pause();
  }

  /** Ends the connection once what has been written is out. */
  #close(reason: CloseReason, cause: string | undefined): void {
    this.#closing = { reason, cause, sinceMs: this.#options.clock.monotonic() };
    this.#pause();
    this.#options.socket.end(() => this.#options.socket.destroy());
  }

  /** Ends it now: nobody is there to read answers. */
  #abandon(reason: CloseReason): void {
    this.#closing = { reason, sinceMs: this.#options.clock.monotonic() };
    this.#options.socket.destroy();
  }

  #end(): void {
    this.#closing ??= { reason: "by-peer", sinceMs: 0 };
    this.#nextTurn?.[Symbol.dispose]();
    this.#throttled?.[Symbol.dispose]();
    this.#intake.drop();
    this.#bytes.unread(0);
    // Running handlers still look at their frames, and release them when they settle.
    const { waiting, answers } = this.#queue.drop();
    for (const work of waiting) if (work.kind !== "answered") work.frame[Symbol.dispose]();
    for (const answer of answers) discard(answer);
    this.#gone.abort();
    this.#options.closed(this, this.#closing.reason, this.#closing.cause);
  }
}

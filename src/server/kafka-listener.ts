/** The TCP listener for Kafka clients: who may connect, how much memory all together may take, and when to let go. Under TLS
 *  a connection begins when the handshake is done; until then it counts among those that are open. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Mechanism } from "../auth/mechanism.ts";
import { Loop, sleep } from "../base/async.ts";
import { assert } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import { KiB } from "../base/settings.ts";
import type { Slabs } from "../base/slabs.ts";
import type { Gauge, Logger } from "../base/telemetry.ts";
import type { ApiName } from "../protocol/api-table.ts";
import { anonymous, type Dispatcher, type Principal } from "../protocol/dispatch.ts";
import { AnswerEncoder } from "./answer-encoder.ts";
import { Authenticator, type AuthenticatorLimits } from "./authenticator.ts";
import { Connection, type ConnectionLimits, type ConnectionMetrics } from "./connection.ts";
import { ConnectionAdmission } from "./connection-admission.ts";
import type { AnswerMemory } from "./connection-bytes.ts";
import type { CloseReason } from "./connection-reply.ts";
import type { FrameMemory } from "./frame-assembler.ts";
import { FrameBudget } from "./frame-budget.ts";
import { frameMemory } from "./frame-memory.ts";
import { listen } from "./listen.ts";
import { withRecycledReads } from "./recycled-reads.ts";
import { type TlsServer, type TlsServerOptions, tlsServer } from "./tls-server.ts";

export interface KafkaListenerLimits extends ConnectionLimits {
  readonly requestMemoryBytesMax: number;
  readonly smallRequestMemoryBytesMax: number;
  readonly connectionsMax: number;
  readonly connectionsPerHostMax: number;
  readonly connectionsPerSecondMax: number;
}

export interface KafkaListenerMetrics extends ConnectionMetrics {
  readonly connections: Gauge;
  readonly requestBytesHeld: Gauge;
  readonly answerBytesHeld: Gauge;
}

export interface KafkaListenerOptions {
  /** Handlers and metrics know the listener by it. */
  readonly name: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Where both are said; the block of its name when left out. */
  readonly settings?: string;
  readonly dispatcher: Dispatcher;
  /** undefined: not encrypted. */
  readonly tls?: Pick<TlsServerOptions, "files" | "clientAuth" | "mapping" | "handshakeMsMax"> | undefined;
  /** undefined: nobody is asked for a password. */
  readonly sasl?: SaslOptions | undefined;
  readonly limits: KafkaListenerLimits;
  /** Where the batches of produce requests are to stay. */
  readonly slabs: Slabs;
  /** Whether the quota of the address lets another connection in. */
  readonly admits?: (clientHost: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: KafkaListenerMetrics;
  /** A handler threw instead of answering. Its connection is closed; whether the process stops is decided here. */
  readonly failed: (cause: unknown, api: ApiName) => void;
}

export interface SaslOptions {
  readonly mechanisms: ReadonlyMap<string, Mechanism>;
  readonly limits: AuthenticatorLimits;
  /** One line for each attempt that ended. */
  readonly audit: Logger;
}

export interface KafkaListener extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** Memory of request frames now. */
  readonly requestBytesHeld: number;
  /** Of answers that were not read yet. */
  readonly answerBytesHeld: number;
}

/** Resolves when it listens. Disposing stops accepting, answers the requests that have come, then closes. */
export async function openKafkaListener(options: KafkaListenerOptions): Promise<KafkaListener> {
  const listener = new Listener(options);
  await listener.listen();
  return listener;
}

/** For messages. */
export function listenerWords(name: string): string {
  return `the Kafka listener ${name}`;
}

const sweepMs = 1_000;
/** More than most requests, so that one read brings one of them whole. */
const readBytes = 256 * KiB;

class Listener implements KafkaListener {
  readonly #options: KafkaListenerOptions;
  readonly #server: Server;
  readonly #tls: TlsServer | undefined;
  readonly #connections = new Set<Connection>();
  /** Accepted, and not through their TLS handshake. */
  readonly #handshakes = new Set<Socket>();
  readonly #admission: ConnectionAdmission;
  readonly #budgets: { readonly small: FrameBudget; readonly large: FrameBudget };
  readonly #inFlight = { count: 0 };
  readonly #answers: AnswerMemory = { bytes: 0 };
  readonly #encoder: AnswerEncoder;
  readonly #frames: FrameMemory;
  /** Of all connections: what a read brings is copied before the next read begins. */
  readonly #readMemory = new Uint8Array(readBytes);
  readonly #sweeps: Loop;
  #isClosing = false;
  /** Told when the last connection has gone. */
  #emptied: (() => void) | undefined;

  constructor(options: KafkaListenerOptions) {
    const { limits } = options;
    this.#options = options;
    this.#encoder = new AnswerEncoder(options.clock);
    this.#frames = frameMemory(options.slabs);
    this.#admission = new ConnectionAdmission(limits);
    this.#budgets = {
      small: new FrameBudget(limits.smallRequestMemoryBytesMax),
      large: new FrameBudget(limits.requestMemoryBytesMax),
    };
    const { tls, logger } = options;
    const secured = (socket: TLSSocket, principal: Principal): void => this.#connect(socket, principal);
    this.#tls = tls === undefined ? undefined : tlsServer({ ...tls, logger, secured });
    const isPaused = tls === undefined; // Recycled reads need it; TLS must read the handshake.
    this.#server = createServer({ noDelay: true, keepAlive: true, pauseOnConnect: isPaused }, (socket) =>
      this.#accept(socket),
    );
    this.#sweeps = new Loop({
      clock: options.clock,
      intervalMs: sweepMs,
      turn: () => this.#sweep(),
      failed: (cause) => options.logger.error("sweeping connections failed", { cause }),
    });
  }

  get host(): string {
    return this.#address.address;
  }

  get port(): number {
    return this.#address.port;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get requestBytesHeld(): number {
    return this.#budgets.small.used + this.#budgets.large.used;
  }

  get answerBytesHeld(): number {
    return this.#answers.bytes;
  }

  async listen(): Promise<void> {
    const { name, host, port, settings = `listeners.${name}`, logger } = this.#options;
    await listen(this.#server, { what: listenerWords(name), host, port, settings });
    this.#server.on("error", (cause) => logger.warn("accepting a connection failed", { cause }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.shutDown();
    const emptied = new Promise<void>((resolve) => {
      if (this.#connections.size === 0) resolve();
      else this.#emptied = resolve;
    });
    const patience = new AbortController();
    const late = sleep(this.#options.clock, this.#options.limits.closeMsMax, patience.signal);
    await Promise.race([emptied, late]);
    late.catch(() => undefined); // Aborted below, when it was not the one that won.
    patience.abort();
    for (const connection of this.#connections) connection.destroy();
    for (const socket of this.#handshakes) socket.destroy();
    await closed;
    await this.#sweeps[Symbol.asyncDispose]();
  }

  get #address(): AddressInfo {
    const address = this.#server.address();
    assert(typeof address === "object" && address !== null, "the listener is not listening on TCP");
    return address;
  }

  #accept(socket: Socket): void {
    const clientHost = socket.remoteAddress;
    // No address: gone already.
    if (clientHost === undefined || this.#isClosing) return void socket.destroy();
    const isWithinQuota = this.#options.admits?.(clientHost) ?? true;
    const refusal = isWithinQuota
      ? this.#admission.enter(clientHost, this.#options.clock.monotonic())
      : "connection-creation-rate";
    if (refusal !== undefined) {
      this.#options.logger.debug("connection refused", { clientHost, because: refusal });
      socket.destroy();
      return;
    }
    if (this.#tls === undefined) {
      const recycled = withRecycledReads(socket, this.#server, this.#readMemory);
      recycled.once("close", () => this.#admission.leave(clientHost));
      this.#connect(recycled, anonymous);
      return;
    }
    this.#handshakes.add(socket);
    socket.once("close", () => {
      this.#handshakes.delete(socket);
      this.#admission.leave(clientHost);
    });
    socket.on("error", () => socket.destroy()); // A lost peer is nobody's failure.
    this.#tls.secure(socket);
  }

  #connect(socket: Socket, principal: Principal): void {
    const { dispatcher, clock, metrics, failed, limits, name, sasl } = this.#options;
    const clientHost = socket.remoteAddress;
    if (clientHost === undefined || this.#isClosing) return void socket.destroy();
    const connection = new Connection({
      socket,
      clientHost,
      clientPort: socket.remotePort ?? 0,
      listener: name,
      principal,
      authenticator:
        sasl === undefined
          ? undefined
          : (signal) => new Authenticator({ ...sasl, clock, clientHost, listener: name, signal }),
      dispatcher,
      limits,
      frames: this.#frames,
      budgets: this.#budgets,
      clock,
      metrics,
      inFlight: this.#inFlight,
      answers: this.#answers,
      encoder: this.#encoder,
      failed,
      closed: (gone, reason, cause) => this.#forget(gone, clientHost, { reason, cause }),
    });
    this.#connections.add(connection);
    metrics.connections.set(this.#connections.size, { listener: name });
  }

  #forget(
    connection: Connection,
    clientHost: string,
    { reason, cause }: { readonly reason: CloseReason; readonly cause: string | undefined },
  ): void {
    const { logger, metrics, name } = this.#options;
    this.#connections.delete(connection);
    metrics.connections.set(this.#connections.size, { listener: name });
    if (reason !== "by-peer" && reason !== "shutdown") logger.info("connection closed", { clientHost, reason, cause });
    if (this.#connections.size === 0) this.#emptied?.();
  }

  async #sweep(): Promise<void> {
    const nowMs = this.#options.clock.monotonic();
    for (const connection of this.#connections) connection.sweep(nowMs);
    this.#options.metrics.requestBytesHeld.set(this.requestBytesHeld);
    this.#options.metrics.answerBytesHeld.set(this.answerBytesHeld);
  }
}

/**
 * Calls to a Hive Metastore over TCP, one after another on one connection, each sent once. An answer that does not come in
 * time, or a cut connection, ends the connection: what comes late must not be taken for the answer to the next call.
 */
import { connect, type Socket } from "node:net";
import { SingleFlight } from "../src/base/async.ts";
import { Closed, CorruptData, OperationFailed } from "../src/base/errors.ts";
import type { Clock } from "../src/base/runtime.ts";
import type { HmsAddress } from "./hms-address.ts";
import {
  call,
  decodeMessage,
  encodeMessage,
  exception,
  Incomplete,
  list,
  type ThriftMessage,
  type ThriftStruct,
  type ThriftValue,
  text,
  textAt,
} from "./thrift-binary.ts";

export interface HmsClientOptions {
  /** Asked in turn until one answers. */
  readonly addresses: readonly HmsAddress[];
  /** Each message after its length, as hive.metastore.thrift.framed.transport.enabled says. */
  readonly isFramed: boolean;
  /** Told to a metastore that takes a client's word for who it is; null: nothing is told. */
  readonly user: string | null;
  readonly clock: Clock;
  readonly limits: { readonly requestMsMax: number; readonly responseBytesMax: number };
}

/** The metastore's own word: one of the exceptions that the method declares, or that Thrift knows. */
export class HmsRefused extends OperationFailed {
  override readonly name = "HmsRefused";
  readonly exception: string;
  constructor(method: string, exceptionName: string, message: string) {
    super(`${method}: ${exceptionName}: ${message}`, { happened: "maybe" });
    this.exception = exceptionName;
  }
}

/** What each method may throw, by the field of its result (hive_metastore.thrift). 0 is what it returns. */
const exceptions = {
  set_ugi: { 1: "MetaException" },
  get_database: { 1: "NoSuchObjectException", 2: "MetaException" },
  create_database: { 1: "AlreadyExistsException", 2: "InvalidObjectException", 3: "MetaException" },
  get_table_req: { 1: "MetaException", 2: "NoSuchObjectException" },
  create_table: {
    1: "AlreadyExistsException",
    2: "InvalidObjectException",
    3: "MetaException",
    4: "NoSuchObjectException",
  },
  alter_table_with_environment_context: { 1: "InvalidOperationException", 2: "MetaException" },
  lock: { 1: "NoSuchTxnException", 2: "TxnAbortedException" },
  check_lock: { 1: "NoSuchTxnException", 2: "TxnAbortedException", 3: "NoSuchLockException" },
  heartbeat: { 1: "NoSuchLockException", 2: "NoSuchTxnException", 3: "TxnAbortedException" },
  unlock: { 1: "NoSuchLockException", 2: "TxnOpenException" },
} as const satisfies Readonly<Record<string, Readonly<Record<number, string>>>>;

export type HmsMethod = keyof typeof exceptions;

export class HmsClient implements AsyncDisposable {
  readonly #options: HmsClientOptions;
  readonly #connecting = new SingleFlight<"connection", Connection>();
  #connection: Connection | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #seq = 0;
  #isClosed = false;

  constructor(options: HmsClientOptions) {
    this.#options = options;
  }

  /** The value that the method returns; undefined when it returns none. Arguments by their field, from 1. */
  async call(method: HmsMethod, args: readonly ThriftValue[]): Promise<ThriftValue | undefined> {
    const turn = this.#last.then(() => this.#call(method, args));
    this.#last = turn.catch(() => undefined); // Its caller hears of it.
    return await turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#connection?.close(new Closed("the catalog"));
  }

  async #call(method: HmsMethod, args: readonly ThriftValue[]): Promise<ThriftValue | undefined> {
    if (this.#isClosed) throw new Closed("the catalog");
    const connection = await this.#connecting.run("connection", () => this.#connected());
    return await this.#ask(connection, method, args);
  }

  async #ask(
    connection: Connection,
    method: HmsMethod,
    args: readonly ThriftValue[],
  ): Promise<ThriftValue | undefined> {
    this.#seq += 1;
    const seq = this.#seq;
    const body: ThriftStruct = new Map(args.map((value, index) => [index + 1, value]));
    const answer = await connection.exchange({ type: call, name: method, seq, body });
    if (answer.seq !== seq || answer.name !== method) {
      connection.close(new OperationFailed(`an answer to another call: ${answer.name}`, { happened: "maybe" }));
      throw new OperationFailed(`${method}: the metastore answered another call`, { happened: "maybe" });
    }
    if (answer.type === exception) throw new HmsRefused(method, "ApplicationException", textAt(answer.body, 1) ?? "");
    return resultOf(method, answer.body);
  }

  async #connected(): Promise<Connection> {
    if (this.#connection?.isOpen === true) return this.#connection;
    let last: unknown;
    for (const address of this.#options.addresses) {
      try {
        const connection = await Connection.open(address, this.#options);
        await this.#introduce(connection);
        this.#connection = connection;
        return connection;
      } catch (cause) {
        last = cause;
      }
    }
    // Whatever the last one did, the call that waits for a connection was not sent.
    throw new OperationFailed(`no metastore can be reached: ${reasonOf(last)}`, { happened: "no", cause: last });
  }

  /** A connection on which we are nobody is closed: a metastore keeps a thread for each. */
  async #introduce(connection: Connection): Promise<void> {
    const { user } = this.#options;
    try {
      if (user !== null) await this.#ask(connection, "set_ugi", [text(user), list("string", [])]);
      if (this.#isClosed) throw new Closed("the catalog");
    } catch (cause) {
      connection.close(cause);
      throw cause;
    }
  }
}

function resultOf(method: HmsMethod, body: ThriftStruct): ThriftValue | undefined {
  const declared: Readonly<Record<number, string>> = exceptions[method];
  for (const [id, value] of body) {
    if (id === 0) return value;
    const message = value.kind === "struct" ? textAt(value.fields, 1) : undefined;
    throw new HmsRefused(method, declared[id] ?? `exception ${id}`, message ?? "");
  }
  return undefined;
}

class Connection {
  readonly #socket: Socket;
  readonly #options: HmsClientOptions;
  readonly #source: string;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { answer(message: ThriftMessage): void; fail(cause: unknown): void } | undefined;
  #ended: unknown;

  private constructor(socket: Socket, source: string, options: HmsClientOptions) {
    this.#socket = socket;
    this.#source = source;
    this.#options = options;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", (cause) => this.close(cause));
    socket.on("close", () => this.close(new Error("the connection was closed")));
  }

  static async open({ host, port }: HmsAddress, options: HmsClientOptions): Promise<Connection> {
    const source = `metastore ${host}:${port}`;
    const socket = connect({ host, port });
    await new Promise<void>((done, fail) => {
      const timer = options.clock.after(options.limits.requestMsMax, () => settle(new Error("timed out")));
      const settle = (cause?: Error): void => {
        timer[Symbol.dispose]();
        socket.removeAllListeners();
        if (cause === undefined) return done();
        socket.on("error", () => undefined).destroy(); // Given up: what it still says is nobody's.
        fail(new OperationFailed(`${source}: ${cause.message}`, { happened: "no" }));
      };
      socket.once("connect", () => settle());
      socket.once("error", settle);
    });
    return new Connection(socket, source, options);
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  close(cause: unknown): void {
    this.#ended ??= cause;
    this.#socket.destroy();
    this.#waiting?.fail(cause);
    this.#waiting = undefined;
  }

  /** One at a time. Once the message was sent, every failure leaves open whether it happened. */
  async exchange(message: ThriftMessage): Promise<ThriftMessage> {
    const { clock, limits, isFramed } = this.#options;
    const late = clock.after(limits.requestMsMax, () => this.close(new Error("timed out")));
    try {
      return await new Promise<ThriftMessage>((answer, fail) => {
        if (this.#ended !== undefined) return fail(this.#ended);
        this.#waiting = { answer, fail };
        const bytes = encodeMessage(message);
        this.#socket.write(isFramed ? framed(bytes) : bytes);
      });
    } catch (cause) {
      const what = `${this.#source}: no answer to ${message.name}: ${reasonOf(cause)}`;
      throw new OperationFailed(what, { happened: "maybe", cause });
    } finally {
      late[Symbol.dispose]();
    }
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    try {
      const message = this.#message();
      if (message === undefined) return;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) return this.close(new Error("an answer that nobody asked for"));
      waiting.answer(message);
    } catch (cause) {
      if (!(cause instanceof CorruptData)) throw cause;
      this.close(cause);
    }
  }

  /** undefined: it has not arrived whole. */
  #message(): ThriftMessage | undefined {
    const bytes = this.#received;
    const { responseBytesMax } = this.#options.limits;
    const isTooLong = bytes.length > responseBytesMax + frameHeadBytes;
    if (isTooLong) throw this.#corrupt(`an answer of at most ${responseBytesMax} bytes`, `${bytes.length}`);
    const head = this.#options.isFramed ? frameHeadBytes : 0;
    try {
      if (bytes.length <= head) return undefined;
      const message = decodeMessage(bytes.subarray(head), this.#source);
      if (head + message.bytes < bytes.length) throw this.#corrupt("one answer", "more");
      this.#received = Buffer.alloc(0);
      return message;
    } catch (cause) {
      if (cause instanceof Incomplete) return undefined;
      throw cause;
    }
  }

  #corrupt(expected: string, found: string): CorruptData {
    return new CorruptData({ source: this.#source, position: 0, expected, found });
  }
}

/** A frame is an i32 of its length, then one message. */
const frameHeadBytes = 4;

function framed(message: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(frameHeadBytes + message.length);
  bytes.writeInt32BE(message.length);
  bytes.set(message, frameHeadBytes);
  return bytes;
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

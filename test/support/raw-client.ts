/** A Kafka client that sends what it is told to and reads what comes. */
import { connect, type Socket } from "node:net";
import { joined } from "../../src/base/bytes.ts";
import type { ApiName, RequestInputOf, ResponseOf } from "../../src/protocol/api-table.ts";
import { decodeResponse, encodeRequest } from "../../src/protocol/frame.ts";

export class RawClient implements AsyncDisposable {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  /** Joined when enough of it is here: a long answer comes in many pieces. */
  #received: Uint8Array[] = [];
  #receivedBytes = 0;
  #isClosed = false;
  #changed = Promise.withResolvers<void>();
  #correlationId = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.#received.push(chunk);
      this.#receivedBytes += chunk.length;
      this.#wake();
    });
    socket.on("error", () => socket.destroy()); // A reset is a close to us.
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  static open(address: { readonly host: string; readonly port: number }): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(address.port, address.host, () => resolve(new RawClient(socket)));
      socket.once("error", reject);
    });
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Returns the correlation id. */
  request<Name extends ApiName>(api: Name, version: number, body: RequestInputOf<Name>): number {
    this.#correlationId += 1;
    this.send(joined(encodeRequest({ api, version, correlationId: this.#correlationId, clientId: "test" }, body)));
    return this.#correlationId;
  }

  async call<Name extends ApiName>(api: Name, version: number, body: RequestInputOf<Name>): Promise<ResponseOf<Name>> {
    this.request(api, version, body);
    return decodeResponse(await this.frame(), api, version).body;
  }

  /** The next frame without its length. Rejects when the connection closes first. */
  async frame(): Promise<Uint8Array> {
    const length = new DataView(Uint8Array.from(await this.#take(4)).buffer).getInt32(0);
    return await this.#take(length);
  }

  async correlationId(): Promise<number> {
    return new DataView(Uint8Array.from(await this.frame()).buffer).getInt32(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  async #take(length: number): Promise<Uint8Array> {
    while (this.#receivedBytes < length) {
      if (this.#isClosed) throw new Error(`closed after ${this.#receivedBytes} of ${length} bytes`);
      await this.#changed.promise;
    }
    const bytes = joined(this.#received, this.#receivedBytes);
    this.#received = [bytes.subarray(length)];
    this.#receivedBytes -= length;
    return bytes.subarray(0, length);
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

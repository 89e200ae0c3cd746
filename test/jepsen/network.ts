/**
 * The wire between one client and the broker, as a TCP proxy of ours that can be cut. Each client has a link of its own.
 *
 *   client ──▶ link ──▶ broker      what a fault does is in the table below; healing ends it
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export const linkFaults = [
  /** Connections end, and new ones are not let in. */
  "refused",
  /** Half open: connections stay, and nothing that is sent arrives, either way. */
  "silent",
  /** Requests arrive, answers do not. */
  "answers-lost",
  /** Everything arrives, late and in order. */
  "slow",
  /** What the connections of now still send arrives when the fault is healed, though the client has gone on by another (KAFKA-17754). */
  "requests-late",
] as const;
export type LinkFault = (typeof linkFaults)[number];

const slowMs = 120;

interface Pipe {
  readonly client: Socket;
  readonly broker: Socket;
  /** Bytes of it were lost: it cannot go on. */
  isBroken: boolean;
  /** Until what is held has been sent on, the end of one side is not told to the other. */
  held: Uint8Array[];
  isLeft: boolean;
  /** Of the connections that requests come late by. */
  isLate: boolean;
  /** Chunks that wait for their time: whatever comes after them waits too. */
  readonly slow: { request: number; answer: number };
}

export class Link implements AsyncDisposable {
  readonly #brokerPort: number;
  readonly #server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  readonly #pipes = new Set<Pipe>();
  #fault: LinkFault | undefined;

  private constructor(brokerPort: number) {
    this.#brokerPort = brokerPort;
  }

  static async open(brokerPort: number): Promise<Link> {
    const link = new Link(brokerPort);
    link.#server.listen(0, "127.0.0.1");
    await once(link.#server, "listening");
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  strike(fault: LinkFault): void {
    this.heal();
    this.#fault = fault;
    for (const pipe of this.#pipes) {
      pipe.isLate = fault === "requests-late";
      if (fault === "refused") this.#end(pipe);
    }
  }

  heal(): void {
    this.#fault = undefined;
    for (const pipe of this.#pipes) {
      pipe.isLate = false;
      for (const chunk of pipe.held.splice(0)) pipe.broker.write(chunk);
      if (pipe.isBroken || pipe.isLeft) this.#end(pipe);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pipe of this.#pipes) this.#end(pipe);
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client: Socket): void {
    if (this.#fault === "refused") return void client.resetAndDestroy();
    const broker = connect({ port: this.#brokerPort, host: "127.0.0.1", noDelay: true });
    const pipe: Pipe = {
      client,
      broker,
      isBroken: false,
      held: [],
      isLeft: false,
      isLate: false,
      slow: { request: 0, answer: 0 },
    };
    this.#pipes.add(pipe);
    client.on("data", (chunk: Uint8Array) => this.#pass(pipe, "request", chunk));
    broker.on("data", (chunk: Uint8Array) => this.#pass(pipe, "answer", chunk));
    for (const socket of [client, broker]) socket.on("error", () => socket.destroy()); // "close" follows.
    client.on("close", () => {
      pipe.isLeft = true;
      if (pipe.held.length === 0) this.#end(pipe);
    });
    broker.on("close", () => this.#end(pipe));
  }

  #pass(pipe: Pipe, what: "request" | "answer", chunk: Uint8Array): void {
    const to = what === "request" ? pipe.broker : pipe.client;
    if (this.#fault === undefined && pipe.slow[what] > 0) return this.#delay(pipe, what, chunk);
    switch (this.#fault) {
      case undefined:
        to.write(chunk);
        return;
      case "refused":
        return;
      case "silent":
        pipe.isBroken = true;
        return;
      case "answers-lost":
        if (what === "request") to.write(chunk);
        else pipe.isBroken = true;
        return;
      case "slow":
        this.#delay(pipe, what, chunk);
        return;
      case "requests-late":
        if (what === "request" && pipe.isLate) pipe.held.push(Uint8Array.from(chunk));
        else to.write(chunk);
    }
  }

  /** Timers of one duration fire in the order in which they were set. */
  #delay(pipe: Pipe, what: "request" | "answer", chunk: Uint8Array): void {
    const copy = Uint8Array.from(chunk);
    pipe.slow[what] += 1;
    setTimeout(() => {
      pipe.slow[what] -= 1;
      (what === "request" ? pipe.broker : pipe.client).write(copy);
    }, slowMs);
  }

  /** What was written to the broker before still arrives. */
  #end(pipe: Pipe): void {
    if (!this.#pipes.delete(pipe)) return;
    pipe.client.destroy();
    pipe.broker.end(() => pipe.broker.destroySoon());
  }
}

/**
 * A TCP proxy that loses, holds back, doubles or answers in place of the server the next request that the test points at.
 * Of HTTP it reads as much as it takes to know where a request ends; of other protocols a chunk is a request.
 */

import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import type { Fault } from "../table/catalog-contract.ts";

export interface CommitProxy extends AsyncDisposable {
  readonly port: number;
  /** What becomes of the next commit; later ones pass. */
  fault: Fault | undefined;
}

export async function startCommitProxy(options: {
  readonly target: number;
  readonly isHttp: boolean;
  /** Whether the request, as Latin-1 text, is one that faults are meant for. */
  readonly isCommit: (request: string) => boolean;
}): Promise<CommitProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(options.target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy()); // Cut connections are what this is for.
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    serve(client, upstream);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const proxy: CommitProxy = {
    port: (server.address() as AddressInfo).port,
    fault: undefined,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
  return proxy;

  function serve(client: Socket, upstream: Socket): void {
    let held: Fault | undefined;
    let pending: Buffer = Buffer.alloc(0);
    upstream.on("data", (answer) => {
      if (held === undefined) client.write(answer);
      else if (held === "answer-lost" || (typeof held === "object" && !options.isHttp)) client.destroy();
      else if (typeof held === "object") client.end(httpAnswer(held.status));
      // Late: the client waits until it gives up.
    });
    client.on("data", (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      if (options.isHttp && !isWholeRequest(pending)) return;
      const request = pending;
      pending = Buffer.alloc(0);
      const fault = options.isCommit(request.toString("latin1")) ? proxy.fault : undefined;
      if (fault !== undefined) proxy.fault = undefined;
      if (fault === undefined) upstream.write(request);
      else if (fault === "request-lost" || (typeof fault === "object" && !fault.happens && !options.isHttp))
        client.destroy();
      else if (fault === "request-doubled") first(request, () => upstream.write(request));
      else if (typeof fault === "object" && !fault.happens) client.end(httpAnswer(fault.status));
      else {
        held = fault;
        upstream.write(request);
      }
    });
  }

  /** Sends the request on a connection of its own, and goes on when it has been answered, or when the server has died over it. */
  function first(request: Buffer, then: () => void): void {
    if (!options.isHttp) return then(); // Nothing doubles a part of a connection.
    const socket = connect(options.target, "127.0.0.1", () => socket.write(request));
    socket.on("data", () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", then);
  }
}

function isWholeRequest(bytes: Buffer): boolean {
  const head = bytes.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString("latin1", 0, head))?.[1] ?? "0";
  return bytes.length >= head + 4 + Number(length);
}

function httpAnswer(status: number): string {
  const body = "<html>gateway</html>";
  return `HTTP/1.1 ${status} Fault\r\ncontent-type: text/html\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
}

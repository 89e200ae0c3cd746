/**
 * Reads a socket into memory that is used again for every read. Node otherwise allocates 64 KiB a read, and V8 counts that
 * against its heap: at 100 MB/s it would collect garbage twice a second for memory that lived for a microsecond.
 *
 * Node offers this (`onread`) to sockets that are made, not to those that a server accepts, so the accepted one's handle is
 * put into a new socket. Where a Node keeps its handle elsewhere, the accepted socket is used as it is.
 */
import { type Server, Socket, type SocketConstructorOpts } from "node:net";

/** What Node's own code sets on an accepted socket (lib/net.js), and no type tells. */
interface Accepted {
  _handle?: object | null;
  _server?: Server;
  server?: Server;
}

/** The socket to go on with. It must have been accepted with `pauseOnConnect`. Its "data" is borrowed: the next read overwrites it. */
export function withRecycledReads(accepted: Socket, server: Server, memory: Uint8Array): Socket {
  const old: Accepted = accepted as Accepted;
  const handle = old._handle;
  if (handle === undefined || handle === null) return accepted.resume(); // It was accepted paused.
  old._handle = null;
  const options: SocketConstructorOpts = {
    handle: handle as NonNullable<SocketConstructorOpts["handle"]>,
    readable: true,
    writable: true,
    onread: {
      buffer: memory,
      callback: (count, buffer) => {
        socket.emit("data", buffer.subarray(0, count));
        return true;
      },
    },
  };
  const socket = new Socket(options);
  // The server counts its connections through this when they close.
  const adopted: Accepted = socket as Accepted;
  adopted._server = server;
  adopted.server = server;
  return socket;
}

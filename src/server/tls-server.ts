/** The TLS half of a listener: takes accepted sockets, gives them back encrypted, with the name that the client's certificate says. */
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { type MappingRule, mapName, rfc2253 } from "../auth/principal-mapping.ts";
import type { Logger } from "../base/telemetry.ts";
import { anonymous, type Principal } from "../protocol/dispatch.ts";
import type { TlsFiles } from "./tls-files.ts";

export type ClientAuth = "none" | "requested" | "required";

export interface TlsServerOptions {
  readonly files: TlsFiles;
  readonly clientAuth: ClientAuth;
  /** From a certificate's name to the principal's. */
  readonly mapping: readonly MappingRule[];
  readonly handshakeMsMax: number;
  readonly logger: Logger;
  /** The handshake is done. A socket that fails it is destroyed. */
  readonly secured: (socket: TLSSocket, principal: Principal) => void;
}

export interface TlsServer {
  secure(socket: Socket): void;
}

export function tlsServer(options: TlsServerOptions): TlsServer {
  const { files, clientAuth, handshakeMsMax, logger, secured } = options;
  const server: Server = createServer({
    ...files.context,
    requestCert: clientAuth !== "none",
    rejectUnauthorized: clientAuth === "required",
    handshakeTimeout: handshakeMsMax,
  });
  files.onChange((context) => server.setSecureContext(context));
  server.on("tlsClientError", (cause, socket) => {
    logger.info("TLS handshake failed", { clientHost: socket.remoteAddress, because: cause.message });
    socket.destroy();
  });
  server.on("secureConnection", (socket) => {
    const principal = principalOf(socket, options);
    if (principal !== undefined) {
      secured(socket, principal);
      return;
    }
    logger.warn("authentication failed", {
      mechanism: "mTLS",
      clientHost: socket.remoteAddress,
      because: socket.authorized ? "no rule fits the certificate's name" : "the certificate is not trusted",
    });
    socket.destroy();
  });
  // Node's documented way to hand a TLS server a socket that something else accepted.
  return { secure: (socket) => void server.emit("connection", socket) };
}

/** undefined: it must not get in. */
function principalOf(socket: TLSSocket, { clientAuth, mapping }: TlsServerOptions): Principal | undefined {
  const certificate = clientAuth === "none" ? undefined : socket.getPeerX509Certificate();
  if (certificate === undefined) return clientAuth === "required" ? undefined : anonymous;
  if (!socket.authorized) return undefined;
  const subject = rfc2253(certificate.subject);
  const name = mapName(mapping, subject);
  return name === undefined ? undefined : { type: "User", name, isTokenAuthenticated: false };
}

/** Takes a port, or says why it cannot be had and which setting names it. */
import type { Server } from "node:net";
import { OperationFailed } from "../base/errors.ts";

export interface ListenPlace {
  /** For messages: "the registry". */
  readonly what: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Where host and port are said, without their names: "registry", or "listeners.INTERNAL". */
  readonly settings: string;
}

/** Resolves when the server listens. Throws OperationFailed. */
export function listen(server: Server, { what, host, port, settings }: ListenPlace): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      const reason = reasons[cause.code ?? ""] ?? { why: cause.message, setting: "port" };
      const text = `${what} cannot listen on ${host}:${port}: ${reason.why}; set ${settings}.${reason.setting} to another`;
      reject(new OperationFailed(text, { happened: "no", cause }));
    };
    server.once("error", failed);
    server.listen({ host, port }, () => {
      server.off("error", failed);
      resolve();
    });
  });
}

/** By Node's codes. */
const reasons: Readonly<Record<string, { readonly why: string; readonly setting: "host" | "port" }>> = {
  EADDRINUSE: { why: "the port is in use", setting: "port" },
  EACCES: { why: "this user may not take the port", setting: "port" },
  EADDRNOTAVAIL: { why: "this machine has no such address", setting: "host" },
  ENOTFOUND: { why: "the name is not known", setting: "host" },
};

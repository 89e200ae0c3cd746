/** Proves: whom the broker calls over TLS must be who it was told to call: a certificate for another name gets no word of ours. */
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createSecureContext,
  getCACertificates,
  type SecureContext,
  setDefaultCACertificates,
  TLSSocket,
} from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { open as openRest } from "../catalogs/rest.ts";
import { fetchKeys } from "../src/authentication.ts";
import { openPostgresLog } from "../src/metadata/postgres-log.ts";
import { openObjectStore } from "../src/object-store/open.ts";
import { Authority, type Certificate, hasOpenssl } from "./support/certificates.ts";
import { seededRuntime, silent } from "./support/seeded.ts";
import { storeDeps } from "./support/store-deps.ts";

/** Takes a connection, over TLS at once or when it is asked as PostgreSQL is, and keeps what it is told. */
class Listener implements AsyncDisposable {
  readonly heard: Buffer[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  secured = 0;

  constructor(context: SecureContext, speaks: "tls" | "postgres") {
    this.#server = createTcpServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      if (speaks === "tls") this.#secure(socket, context);
      else
        socket.once("data", () => {
          socket.write("S");
          this.#secure(socket, context);
        });
    });
  }

  #secure(socket: Socket, secureContext: SecureContext): void {
    const secure = new TLSSocket(socket, { isServer: true, secureContext });
    secure.on("error", () => socket.destroy());
    secure.on("secure", () => {
      this.secured += 1;
    });
    secure.on("data", (bytes) => {
      this.heard.push(bytes);
      secure.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
  }

  async port(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as { readonly port: number }).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

const callers = {
  "the keys of tokens": {
    speaks: "tls",
    call: (at) => fetchKeys(`https://${at}/keys`),
  },
  "an S3 store": {
    speaks: "tls",
    call: async (at) => {
      const query = new URLSearchParams({
        endpoint: `https://${at}`,
        pathStyle: "true",
        accessKey: "k",
        secretKey: "s",
      });
      await using store = await openObjectStore(`s3://lake/p?${query.toString()}`, storeDeps());
      return await store.head("k");
    },
  },
  "a REST catalog": {
    speaks: "tls",
    call: async (at) => {
      const deps = {
        runtime: seededRuntime(1),
        logger: silent,
        limits: { requestMsMax: 5_000, responseBytesMax: 1024 },
      };
      const settings = {
        name: "main",
        uri: `https://${at}`,
        warehouse: "main",
        auth: { kind: "bearer", token: "the secret" },
        accessDelegation: null,
        properties: new Map(),
      } as const;
      const catalog = openRest(settings, deps);
      return await catalog.load({ namespace: ["a"], name: "t" });
    },
  },
  "a metadata log in PostgreSQL": {
    speaks: "postgres",
    call: async (at) => {
      const url = `postgres://inlet:secret@${at}/meta?sslmode=verify-full`;
      return await openPostgresLog({ url, logger: silent, requestMsMax: 5_000 });
    },
  },
} as const satisfies Readonly<
  Record<string, { readonly speaks: "tls" | "postgres"; readonly call: (at: string) => Promise<unknown> }>
>;

describe.skipIf(!hasOpenssl)("a server whose certificate is trusted, but for another name", () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-outgoing-"));
  const trusted = getCACertificates("default");
  let right: SecureContext;
  let wrong: SecureContext;

  beforeAll(() => {
    const authority = new Authority(directory, "root");
    const context = ({ certificate, key }: Certificate): SecureContext =>
      createSecureContext({ cert: readFileSync(certificate), key: readFileSync(key) });
    right = context(authority.issue("right", "/CN=right"));
    // A name that a client which forgets to say whom it called would take.
    wrong = context(authority.issue("wrong", "/CN=wrong", "DNS:localhost,DNS:elsewhere.example"));
    setDefaultCACertificates([...trusted, readFileSync(authority.certificate, "utf8")]);
  });
  afterAll(() => {
    setDefaultCACertificates([...trusted]);
    rmSync(directory, { recursive: true });
  });

  describe.each(Object.entries(callers))("%s", (_, { speaks, call }) => {
    test("hears nothing", { timeout: 30_000 }, async () => {
      await using listener = new Listener(wrong, speaks);
      await expect(call(`127.0.0.1:${await listener.port()}`)).rejects.toThrow();
      expect(Buffer.concat(listener.heard).toString("latin1")).toBe("");
    });

    test("is spoken to where the name is its own", { timeout: 30_000 }, async () => {
      await using listener = new Listener(right, speaks);
      await call(`127.0.0.1:${await listener.port()}`).catch(() => undefined); // It has no answer to anything.
      expect(Buffer.concat(listener.heard).length).toBeGreaterThan(0);
    });
  });
});

test("nothing in the code turns the check off, but for a mode that says so", () => {
  // sslmode=require of a PostgreSQL URL, and certificates of clients, which are looked at afterwards.
  const allowed = ["src/metadata/postgres-address.ts", "src/server/tls-server.ts"];
  const files = ["src", "catalogs"].flatMap((root) =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const off = files.filter((file) =>
    /rejectUnauthorized|checkServerIdentity|TLS_REJECT/.test(readFileSync(file, "utf8")),
  );
  expect(files.length).toBeGreaterThan(100);
  expect(off.sort()).toEqual(allowed);
});

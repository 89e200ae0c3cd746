/**
 * As much of a Hive Metastore as its catalog adapter speaks to: databases, tables, locks, and the parameter that an alteration
 * expects. Spoken with the adapter's own codec: that the codec is Thrift's is for the real metastore to prove.
 */

import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import {
  decodeMessage,
  encodeMessage,
  Incomplete,
  i32,
  i64,
  reply,
  struct,
  structAt,
  type ThriftMessage,
  type ThriftStruct,
  type ThriftValue,
  text,
  textAt,
  textMapAt,
} from "../../catalogs/thrift-binary.ts";

export interface FakeHms extends AsyncDisposable {
  readonly port: number;
  /** By "database.table". */
  readonly tables: ReadonlyMap<string, ThriftStruct>;
  /** Methods as they were called. */
  readonly calls: readonly string[];
  /** Methods that are answered with an exception. */
  readonly refusing: Set<string>;
  readonly connections: number;
}

export interface FakeHmsOptions {
  readonly isFramed: boolean;
  /** Since Hive 4. */
  readonly comparesParameters: boolean;
}

interface Refused {
  readonly field: number;
  readonly message: string;
}

export async function startFakeHms({ isFramed, comparesParameters }: FakeHmsOptions): Promise<FakeHms> {
  const databases = new Set<string>();
  const tables = new Map<string, ThriftStruct>();
  const locks = new Map<string, bigint>();
  const calls: string[] = [];
  const refusing = new Set<string>();
  let lastLock = 0n;
  const refused = (field: number, message: string): Refused => ({ field, message });

  const holds = (key: string, id: bigint): ThriftValue => {
    if (!locks.has(key)) locks.set(key, id);
    return struct({ 1: i64(id), 2: i32(locks.get(key) === id ? 1 : 2) });
  };
  const asked = new Map<bigint, string>();
  const methods: Readonly<Record<string, (args: ThriftStruct) => ThriftValue | undefined | Refused>> = {
    get_database(args) {
      const name = textAt(args, 1) ?? "";
      return databases.has(name) ? struct({ 1: text(name) }) : refused(1, `there is no ${name}`);
    },
    create_database(args) {
      const name = textAt(structAt(args, 1) ?? new Map(), 1) ?? "";
      if (databases.has(name)) return refused(1, `${name} is there`);
      databases.add(name);
      return undefined;
    },
    get_table_req(args) {
      const request = structAt(args, 1) ?? new Map<number, ThriftValue>();
      const found = tables.get(`${textAt(request, 1)}.${textAt(request, 2)}`);
      if (found === undefined) return refused(2, "there is no such table");
      return struct({ 1: { kind: "struct", fields: found } });
    },
    create_table(args) {
      const table = structAt(args, 1) ?? new Map<number, ThriftValue>();
      const key = `${textAt(table, 2)}.${textAt(table, 1)}`;
      if (!databases.has(textAt(table, 2) ?? "")) return refused(4, "there is no such database");
      if (tables.has(key)) return refused(1, `${key} is there`);
      tables.set(key, table);
      return undefined;
    },
    alter_table_with_environment_context(args) {
      const key = `${textAt(args, 1)}.${textAt(args, 2)}`;
      const before = tables.get(key);
      if (before === undefined) return refused(1, "there is no such table");
      const context = textMapAt(structAt(args, 4) ?? new Map(), 1);
      const [name, value] = [context.get("expected_parameter_key") ?? "", context.get("expected_parameter_value")];
      const found = textMapAt(before, 9).get(name);
      if (comparesParameters && found !== value)
        return refused(
          2,
          `The table has been modified. The parameter value for key '${name}' is '${found}'. The expected was value was '${value}'`,
        );
      tables.set(key, structAt(args, 3) ?? before);
      return undefined;
    },
    lock(args) {
      const components = structAt(args, 1)?.get(1);
      const component = components?.kind === "list" ? components.items[0] : undefined;
      if (component?.kind !== "struct") return refused(1, "a lock of nothing");
      lastLock += 1n;
      const key = `${textAt(component.fields, 3)}.${textAt(component.fields, 4)}`;
      asked.set(lastLock, key);
      return holds(key, lastLock);
    },
    check_lock: (args) => {
      const id = lockId(args);
      return holds(asked.get(id) ?? "", id);
    },
    heartbeat: (args) =>
      locks.get(asked.get(lockId(args)) ?? "") === lockId(args) ? undefined : refused(1, "no lock"),
    unlock(args) {
      const id = lockId(args);
      const key = asked.get(id) ?? "";
      if (locks.get(key) === id) locks.delete(key);
      asked.delete(id);
      return undefined;
    },
  };

  function answer({ name, seq, body }: ThriftMessage): Uint8Array {
    calls.push(name);
    const outcome = refusing.has(name) ? refused(1, "not now") : methods[name]?.(body);
    const result = new Map<number, ThriftValue>();
    if (outcome !== undefined && "message" in outcome) result.set(outcome.field, struct({ 1: text(outcome.message) }));
    else if (outcome !== undefined) result.set(0, outcome);
    return encodeMessage({ type: reply, name, seq, body: result });
  }

  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    let received: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      try {
        const message = decodeMessage(received.subarray(isFramed ? 4 : 0), "a call");
        received = received.subarray(message.bytes + (isFramed ? 4 : 0));
        const bytes = answer(message);
        const head = Buffer.alloc(4);
        head.writeInt32BE(bytes.length);
        // In two pieces, as a network may bring it.
        const whole = isFramed ? Buffer.concat([head, bytes]) : Buffer.from(bytes);
        socket.write(whole.subarray(0, 7));
        socket.write(whole.subarray(7));
      } catch (cause) {
        if (!(cause instanceof Incomplete)) throw cause;
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: (server.address() as AddressInfo).port,
    tables,
    calls,
    refusing,
    get connections() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

function lockId(args: ThriftStruct): bigint {
  const id = structAt(args, 1)?.get(1);
  return id?.kind === "i64" ? id.value : 0n;
}

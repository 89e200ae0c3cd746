/**
 * The Hive Metastore as an Iceberg catalog: a table whose parameters name the current metadata file (rule J14). Every change
 * names the file that it replaces, which a metastore since Hive 4 (HIVE-26882) compares before it writes. Older ones do not,
 * so by default the change is made under a lock of the table as well, as other writers take it. One table is written in one
 * way by all: what its property says beats the setting.
 */
import { hostname } from "node:os";
import { sleep } from "../src/base/async.ts";
import { OperationFailed } from "../src/base/errors.ts";
import type { Clock } from "../src/base/runtime.ts";
import type { Logger } from "../src/base/telemetry.ts";
import type { Catalog, LoadedTable, TableName } from "../src/table/catalog.ts";
import type { StoredTable } from "../src/table/commit/metadata-files.ts";
import { isTrue } from "../src/table/iceberg/metadata.ts";
import type { Update } from "../src/table/iceberg/updates.ts";
import { isHiveName } from "./hive-names.ts";
import type { HmsAddress } from "./hms-address.ts";
import { HmsClient, type HmsMethod, HmsRefused } from "./hms-client.ts";
import { changedTable, locationKey, newTable, parametersOf } from "./hms-table.ts";
import {
  type Moved,
  type Pointer,
  PointerCatalog,
  type PointerCatalogDeps,
  type PointerStore,
  refusal,
  tableText,
} from "./pointer-catalog.ts";
import {
  i32,
  i64,
  list,
  struct,
  structAt,
  type ThriftStruct,
  type ThriftValue,
  text,
  textMap,
} from "./thrift-binary.ts";

export interface HmsCatalogSettings {
  readonly name: string;
  readonly addresses: readonly HmsAddress[];
  readonly isFramed: boolean;
  readonly user: string | null;
  /** Of tables that do not say so themselves. */
  readonly isLocking: boolean;
}

export interface HmsCatalogDeps extends PointerCatalogDeps {
  readonly limits: { readonly requestMsMax: number; readonly responseBytesMax: number };
}

/** Java's writers look for it too. */
const lockProperty = "engine.hive.lock-enabled";

export function open(settings: HmsCatalogSettings, deps: HmsCatalogDeps): Catalog {
  const { clock } = deps.runtime;
  const client = new HmsClient({ ...settings, clock, limits: deps.limits });
  const pointers = new HmsPointers(settings, client, { ...deps, lockWaitMsMax: deps.limits.requestMsMax, clock });
  return new HmsCatalog(settings, new PointerCatalog(settings.name, pointers, deps));
}

/** A table that is made for writing without locks says so to all its writers. */
class HmsCatalog implements Catalog {
  readonly name: string;
  readonly #isLocking: boolean;
  readonly #catalog: Catalog;

  constructor(settings: HmsCatalogSettings, catalog: Catalog) {
    this.name = settings.name;
    this.#isLocking = settings.isLocking;
    this.#catalog = catalog;
  }

  async load(table: TableName): Promise<LoadedTable | undefined> {
    return await this.#catalog.load(table);
  }

  async create(table: TableName, updates: readonly Update[]): ReturnType<Catalog["create"]> {
    const lockless = { action: "set-properties", updates: { [lockProperty]: "false" } } as const;
    return await this.#catalog.create(table, this.#isLocking ? updates : [...updates, lockless]);
  }

  async commit(...args: Parameters<Catalog["commit"]>): ReturnType<Catalog["commit"]> {
    return await this.#catalog.commit(...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#catalog[Symbol.asyncDispose]();
  }
}

interface PointersDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lockWaitMsMax: number;
}

interface HmsPointer extends Pointer {
  readonly table: ThriftStruct;
}

class HmsPointers implements PointerStore<HmsPointer> {
  readonly #settings: HmsCatalogSettings;
  readonly #client: HmsClient;
  readonly #deps: PointersDeps;

  constructor(settings: HmsCatalogSettings, client: HmsClient, deps: PointersDeps) {
    this.#settings = settings;
    this.#client = client;
    this.#deps = deps;
  }

  async find(name: TableName): Promise<HmsPointer | undefined> {
    const [database, table] = this.#names(name);
    // Its elder, get_table, is gone since Hive 4.
    const answer = await this.#ask("get_table_req", [struct({ 1: database, 2: table })], ["NoSuchObjectException"]);
    const found = answer?.kind === "struct" ? structAt(answer.fields, 1) : undefined;
    if (found === undefined) return undefined;
    const parameters = parametersOf(found);
    const location = parameters.get(locationKey);
    if (parameters.get("table_type")?.toUpperCase() !== "ICEBERG" || location === undefined) {
      throw refusal(this.#settings.name, `${tableText(name)} is no Iceberg table`);
    }
    return { location, table: found };
  }

  async makeNamespace(namespace: readonly string[]): Promise<void> {
    const name = text(namespace[0] ?? "");
    const found = await this.#ask("get_database", [name], ["NoSuchObjectException"]);
    if (found !== undefined) return;
    // Somebody else may be faster, which is as good.
    await this.#ask("create_database", [struct({ 1: name, 4: textMap([]) })], ["AlreadyExistsException"]);
  }

  async insert(name: TableName, next: StoredTable): Promise<Moved> {
    this.#names(name);
    const table = newTable(name, next, this.#settings.user ?? "inlet", this.#deps.clock.now());
    try {
      await this.#client.call("create_table", [table]);
      return { kind: "moved" };
    } catch (cause) {
      if (!(cause instanceof OperationFailed)) throw cause;
      if (!(cause instanceof HmsRefused)) return outcomeOf(cause);
      if (cause.exception === "AlreadyExistsException") return { kind: "lost", detail: cause.message };
      const isNo = ["InvalidObjectException", "NoSuchObjectException"].includes(cause.exception);
      if (isNo) throw refusal(this.#settings.name, cause.message);
      return { kind: "unknown", cause };
    }
  }

  async move(name: TableName, from: HmsPointer, next: StoredTable): Promise<Moved> {
    const isLocking = isTrue(next.metadata.properties, lockProperty, this.#settings.isLocking);
    if (!isLocking) return await this.#alter(name, from, next);
    const lock = await this.#lock(name);
    if (typeof lock !== "bigint") return lock;
    try {
      // Read under the lock, since an older metastore compares nothing; the heartbeat says whether we still have it.
      const now = await this.find(name);
      if (now?.location !== from.location) return { kind: "lost", detail: `${tableText(name)} was changed meanwhile` };
      await this.#ask("heartbeat", [struct({ 1: i64(lock) })], []);
      return await this.#alter(name, now, next);
    } finally {
      await this.#unlock(lock);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #alter(name: TableName, from: HmsPointer, next: StoredTable): Promise<Moved> {
    const context = textMap([
      ["DO_NOT_UPDATE_STATS", "true"],
      ["expected_parameter_key", locationKey],
      ["expected_parameter_value", from.location],
    ]);
    const table = changedTable(from.table, from.location, next);
    const args = [...this.#names(name), table, struct({ 1: context })];
    try {
      await this.#client.call("alter_table_with_environment_context", args);
      return { kind: "moved" };
    } catch (cause) {
      if (!(cause instanceof OperationFailed)) throw cause;
      return outcomeOf(cause);
    }
  }

  /** An exclusive lock of the table, or why there is none. */
  async #lock(name: TableName): Promise<bigint | Moved> {
    const [database, table] = this.#names(name);
    const component = struct({ 1: i32(exclusive), 2: i32(ofTable), 3: database, 4: table, 6: i32(noTransaction) });
    const request = struct({
      1: list("struct", [component]),
      3: text(this.#settings.user ?? "inlet"),
      4: text(hostname()),
      5: text("inlet"),
    });
    const end = this.#deps.clock.monotonic() + this.#deps.lockWaitMsMax;
    let answer = lockOf(await this.#ask("lock", [request], []), this.#settings.name);
    try {
      while (answer.state === waiting && this.#deps.clock.monotonic() < end) {
        await sleep(this.#deps.clock, lockPollMs);
        answer = lockOf(await this.#ask("check_lock", [struct({ 1: i64(answer.id) })], []), this.#settings.name);
      }
    } catch (cause) {
      await this.#unlock(answer.id); // Nobody gets the lock before one who waits for it, gone or not.
      throw cause;
    }
    if (answer.state === acquired) return answer.id;
    await this.#unlock(answer.id);
    return { kind: "lost", detail: `somebody else holds the lock of ${tableText(name)}` };
  }

  /** A lock that cannot be given back ends by itself (hive.txn.timeout); the commit's outcome is what it is. */
  async #unlock(id: bigint): Promise<void> {
    try {
      await this.#client.call("unlock", [struct({ 1: i64(id) })]);
    } catch (cause) {
      if (!(cause instanceof OperationFailed)) throw cause;
      const { name: catalog } = this.#settings;
      this.#deps.logger.warn("a lock could not be given back", { catalog, lock: String(id), error: cause });
    }
  }

  #names({ namespace, name }: TableName): readonly [ThriftValue, ThriftValue] {
    const [database] = namespace;
    if (database === undefined || namespace.length !== 1 || !isHiveName(database) || !isHiveName(name)) {
      const rule = "a database and a table of lower-case letters, digits and underscores";
      throw refusal(this.#settings.name, `${[...namespace, name].join(".")} is not ${rule}`);
    }
    return [text(database), text(name)];
  }

  /** A read, or a write that may as well be there already; undefined for the exceptions that are expected. */
  async #ask(
    method: HmsMethod,
    args: readonly ThriftValue[],
    expected: readonly string[],
  ): Promise<ThriftValue | undefined> {
    try {
      return await this.#client.call(method, args);
    } catch (cause) {
      if (!(cause instanceof OperationFailed)) throw cause;
      if (cause instanceof HmsRefused && expected.includes(cause.exception)) return undefined;
      throw refusal(this.#settings.name, cause.message, cause);
    }
  }
}

/** LockType, LockLevel, DataOperationType and LockState. */
const exclusive = 3;
const ofTable = 2;
const noTransaction = 6;
const acquired = 1;
const waiting = 2;
/** Between questions whether it is our turn; others hold the lock for the time of one commit. */
const lockPollMs = 100;

function lockOf(answer: ThriftValue | undefined, catalog: string): { readonly id: bigint; readonly state: number } {
  const fields = answer?.kind === "struct" ? answer.fields : new Map<number, ThriftValue>();
  const [id, state] = [fields.get(1), fields.get(2)];
  if (id?.kind === "i64" && state?.kind === "i32") return { id: id.value, state: state.value };
  throw refusal(catalog, "the metastore answered no lock");
}

/** Only the comparison is a clear no; of all else the metastore's own repeats make an unclear one. */
function outcomeOf(cause: OperationFailed): Moved {
  if (cause.message.includes(`The parameter value for key '${locationKey}' is`)) {
    return { kind: "lost", detail: cause.message };
  }
  if (cause.happened === "no") throw cause;
  return { kind: "unknown", cause };
}

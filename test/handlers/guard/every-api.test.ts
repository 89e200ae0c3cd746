/** Proves: of every API, each right that a request takes is asked for, told by its own error and one line of the audit log. */
import { describe, expect, test } from "vitest";
import { errorName } from "../../../schemas/kafka/errors.ts";
import { aclKey, operations, patternTypes, permissions, resourceTypes } from "../../../src/access/acl.ts";
import { AuditLog } from "../../../src/access/audit-log.ts";
import { Authorizer } from "../../../src/access/authorizer.ts";
import type { Uuid } from "../../../src/base/ids.ts";
import { guarded } from "../../../src/handlers/guard/guard.ts";
import { guardRules } from "../../../src/handlers/guard/guard-rules.ts";
import { type ApiName, apiNames, apis } from "../../../src/protocol/api-table.ts";
import { context } from "../../support/log-world.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { MemoryMetadata } from "../../support/memory-metadata.ts";
import { noMetrics } from "../../support/no-metrics.ts";
import { type Need, type Row, rows } from "./guard-rows.ts";

const tellsAllowed = (): boolean => false;

interface Denial {
  readonly operation: string;
  readonly principal: string;
}

/** The guard before a handler that answers what the test says, of one API. */
class OneApi implements Disposable {
  readonly denials: Denial[] = [];
  /** Requests that the handler was given. */
  readonly reached: unknown[] = [];
  readonly topicId: Uuid;
  readonly #metadata = new MemoryMetadata();
  readonly #authorizer: Authorizer;
  readonly #name: ApiName;
  readonly #version: number;
  #handler: (request: unknown) => Promise<unknown> = async () => "close";

  constructor(name: ApiName, version: number) {
    this.#name = name;
    this.#version = version;
    this.topicId = this.#metadata.createTopic("t", 1, {});
    const log = (message: string, fields: object = {}): void => {
      if (message === "access denied") this.denials.push(fields as Denial);
    };
    const logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
    const clock = new ManualClock();
    const audit = new AuditLog({
      logger,
      clock,
      denialsPerSecondMax: 100,
      denials: noMetrics.accessDenied,
      tellsAllowed,
    });
    const metadata = this.#metadata;
    this.#authorizer = new Authorizer({ metadata, superUsers: ["User:root"], allowsWithoutAcl: false, audit });
  }

  /** Its answer from now on; without one it closes the connection. */
  answering(answer: unknown): void {
    this.#handler = async () => answer ?? "close";
  }

  allow({ operation, kind, name }: Omit<Need, "denied">): void {
    const key = aclKey({
      resourceType: resourceTypes[kind],
      resourceName: name,
      patternType: patternTypes.literal,
      principal: "User:alice",
      host: "*",
      operation: operations[operation],
      permissionType: permissions.allow,
    });
    this.#metadata.apply([{ kind: "set-facts", facts: [{ table: "acls", key, value: "" }] }]);
  }

  /** Through the wire format both ways. "close" is the handler's. */
  async ask(who: string, asked: unknown): Promise<unknown> {
    const { request, response } = apis[this.#name];
    const version = this.#version;
    const handler = (given: unknown): Promise<unknown> => {
      this.reached.push(given);
      return this.#handler(given);
    };
    const rules = guardRules;
    const options = { authorizer: this.#authorizer, metadata: this.#metadata, createsTopics: false, rules };
    const guard = guarded({ [this.#name]: handler }, options)[this.#name] as unknown as typeof anyHandler;
    const principal = { type: "User", name: who, isTokenAuthenticated: false } as const;
    const answer = await guard(this.decoded(request, asked), context({ apiVersion: version, principal }));
    return typeof answer === "string" ? answer : response.decode(response.encode(answer as never, version), version);
  }

  decoded(request: (typeof apis)[ApiName]["request"], asked: unknown): unknown {
    return request.decode(request.encode(asked as never, this.#version), this.#version);
  }

  [Symbol.dispose](): void {
    this.#authorizer[Symbol.dispose]();
  }
}

declare function anyHandler(request: unknown, by: ReturnType<typeof context>): Promise<unknown>;

type AnyRow = Row<"heartbeat">;
const all = apiNames.flatMap((name) => (rows[name] as unknown as readonly AnyRow[]).map((row) => ({ name, row })));
const versionOf = (name: ApiName, row: AnyRow): number =>
  (row.kind === "guarded" ? row.version : undefined) ?? apis[name].request.versions[1];

test("every API that there are words for has a row", () => {
  expect(apiNames.length).toBeGreaterThan(70);
  expect(apiNames.filter((name) => rows[name].length === 0)).toEqual([]);
});

describe.each(
  all.flatMap(({ name, row }) =>
    row.kind === "guarded" ? row.needs.map((missing) => ({ name, row, missing, v: versionOf(name, row) })) : [],
  ),
)("$name v$v without $missing.operation on $missing.kind", ({ name, row, missing, v }) => {
  test("is denied in one line, and reaches nothing", async () => {
    using world = new OneApi(name, v);
    const request = row.request(world.topicId);
    for (const need of row.needs) if (need !== missing) world.allow(need);
    world.answering(row.nothing);
    const answer = await world.ask("alice", request);
    expect(answer).not.toBe("close");
    expect(row.errors(answer as never).map(({ errorCode }) => errorName(errorCode))).toContain(missing.denied);
    const principal = "User:alice";
    expect(world.denials).toMatchObject([{ principal, api: name, rule: "none" }]);
    expect(world.reached).not.toContainEqual(world.decoded(apis[name].request, request));
    if (row.nothing === undefined) expect(world.reached).toEqual([]);
  });
});

const rowsOf = <K extends AnyRow["kind"]>(kind: K) =>
  all.flatMap(({ name, row }) => {
    const isOf = (some: AnyRow): some is Extract<AnyRow, { readonly kind: K }> => some.kind === kind;
    return isOf(row) ? [{ name, row, v: versionOf(name, row) }] : [];
  });

describe.each(rowsOf("guarded"))("$name v$v", ({ name, row, v }) => {
  test("reaches the handler as it is with all that it takes, and of super users", async () => {
    using world = new OneApi(name, v);
    const request = row.request(world.topicId);
    for (const need of row.needs) world.allow(need);
    for (const who of ["alice", "root"]) expect(await world.ask(who, request)).toBe("close");
    const whole = world.decoded(apis[name].request, request);
    expect(world.reached).toEqual([whole, whole]);
    expect(world.denials).toEqual([]);
  });
});

describe.each(rowsOf("filtered"))("$name v$v", ({ name, row, v }) => {
  test("shows what may be seen, and speaks of nothing else", async () => {
    using world = new OneApi(name, v);
    world.answering(row.answer);
    const shown = async (who: string): Promise<readonly string[]> =>
      row.shown((await world.ask(who, row.request)) as never);
    expect(await shown("alice")).toEqual([]);
    expect(await shown("root")).toHaveLength(1);
    world.allow(row.need);
    expect(await shown("alice")).toHaveLength(1);
    expect(world.denials).toEqual([]);
  });
});

describe.each(rowsOf("open"))("$name v$v", ({ name, row, v }) => {
  test("is nobody's to deny", async () => {
    using world = new OneApi(name, v);
    expect(row.why).not.toBe("");
    expect(await world.ask("alice", row.request)).toBe("close");
    expect(world.reached).toEqual([world.decoded(apis[name].request, row.request)]);
  });
});

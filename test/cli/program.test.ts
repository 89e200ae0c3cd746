/** Proves: commands say what they did, in text or JSON, and end with the code that their help promises. */
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { isPassword, parsePasswordHash } from "../../src/auth/password-hash.ts";
import { jsonResponse } from "../../src/base/http.ts";
import { LogLevels } from "../../src/base/log-levels.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { engines } from "../../src/cli/recipes.ts";
import type { Config } from "../../src/config.ts";
import { adminRoutes, type TableStatus } from "../../src/server/admin-routes.ts";
import { openHttpServer } from "../../src/server/http.ts";
import { tableStateRoutes } from "../../src/server/table-state-routes.ts";
import { openLogger } from "../../src/telemetry/logging.ts";
import { inlet } from "../support/command.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-cli-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe("the command line", () => {
  test("help and version are 0, what is not understood is 2 and says so", async () => {
    expect(await inlet(["--version"])).toEqual({ code: 0, out: "1.2.3\n", error: "" });
    const help = await inlet(["--help"]);
    expect([help.code, help.out.includes("Exit codes")]).toEqual([0, true]);
    for (const args of [
      ["nope"],
      ["topic", "create"],
      ["--format", "xml", "topic", "list"],
      ["topic", "create", "a", "-p", "many"],
    ]) {
      const { code, error } = await inlet(args);
      expect([args, code, error !== ""]).toEqual([args, 2, true]);
    }
  });

  test("every command has help", async () => {
    for (const command of ["start", "demo", "init", "config", "topic", "group", "table", "inspect", "verify"]) {
      const { code, out } = await inlet([command, "--help"]);
      expect([command, code]).toEqual([command, 0]);
      expect(out).toContain(`inlet ${command}`);
    }
  });

  test("the help of a command says how the broker is named, too", async () => {
    for (const command of [
      ["topic", "list"],
      ["table", "status"],
    ]) {
      const { out } = await inlet([...command, "--help"]);
      expect(["--brokers", "--admin", "--json"].filter((option) => !out.includes(option))).toEqual([]);
    }
    expect((await inlet(["--help"])).out).toContain("130 interrupted");
  });

  test("a broker that does not answer is 3, in the words of the address", async () => {
    for (const args of [
      ["topic", "list"],
      ["group", "list"],
    ]) {
      const { code, error } = await inlet(["--brokers", "127.0.0.1:1", ...args]);
      expect([code, error]).toEqual([3, expect.stringContaining("no broker answers at 127.0.0.1:1")]);
    }
  });
});

describe("configuration", () => {
  test("hash-password prints a hash of what it reads, another each time, and not the password", async () => {
    const hashed = await Promise.all([1, 2].map(() => inlet(["config", "hash-password"], { input: "open sesame\n" })));
    const texts = hashed.map(({ out }) => out.trim());
    expect(new Set(texts).size).toBe(2);
    for (const text of texts) {
      const hash = parsePasswordHash(text);
      expect(hash !== undefined && (await isPassword(Buffer.from("open sesame"), hash))).toBe(true);
    }
    expect((await inlet(["config", "hash-password"])).error).toContain("no password");
  });

  test("init writes a file that check accepts, and does not replace one", async () => {
    const path = join(directory, "new.yaml");
    expect((await inlet(["init", path])).code).toBe(0);
    expect(JSON.parse(readFileSync(join(directory, "inlet.schema.json"), "utf8"))).toMatchObject({
      title: "inlet.yaml",
    });
    expect((await inlet(["config", "check", "-c", path])).code).toBe(0);
    const again = await inlet(["init", path]);
    expect([again.code, again.error]).toEqual([1, expect.stringContaining("--force")]);
    expect((await inlet(["init", path, "--force"])).code).toBe(0);
  });

  test("check says everything that is wrong, with 2", async () => {
    const path = file("bad.yaml", "kafak: {}\nkafka: { port: x }\n");
    const { code, error } = await inlet(["config", "check", "-c", path, "--http-port", "-1"]);
    expect(code).toBe(2);
    expect(error.split("\n")).toEqual([
      `${path}:1:1: unknown key "kafak"; did you mean "kafka"?`,
      `${path}:2:16: kafka.port must be a whole number, not "x"`,
      expect.stringContaining("--http-port: http.port must be at least 0"),
      "3 problems in the configuration",
      "",
    ]);
    expect((await inlet(["config", "check", "-c", join(directory, "none.yaml")])).error).toContain("cannot be read");
  });

  test("check says what is wrong with the URL of the store, and repeats no key of it", async () => {
    const said = async (url: string) => {
      const { code, error } = await inlet(["config", "check", "--object-store-url", url]);
      return [code, error.split("\n")[0]];
    };
    expect(await said("s3a://lake")).toEqual([2, expect.stringMatching(/^--object-store-url: .*s3:\/\/<bucket>/)]);
    expect(await said("s3://lake?regoin=x&secretKey=hunter2")).toEqual([2, expect.not.stringContaining("hunter2")]);
    expect(await said("s3://lake?regoin=x")).toEqual([2, expect.stringContaining("regoin")]);
    expect((await inlet(["config", "check", "--metadata-url", "s3://lake?regoin=x"])).error).toContain(
      "--metadata-url: metadata.url: unknown object store parameters: regoin",
    );
    expect((await inlet(["config", "check", "--object-store-url", "s3://lake/a?region=x"])).code).toBe(0);
  });

  test("check says in JSON what is wrong, too", async () => {
    const { code, out } = await inlet(["--format", "json", "config", "check", "--http-port", "-1"]);
    expect(code).toBe(2);
    expect(JSON.parse(out)).toEqual({
      ok: false,
      problems: [{ at: "--http-port", message: expect.stringContaining("at least 0"), fix: null }],
    });
  });

  test("print shows what is in force, without secrets, and can be read again", async () => {
    const path = file(
      "good.yaml",
      "lake: { catalogs: { main: { type: rest, uri: http://c:1, auth: { token: hunter2 } } } }\n",
    );
    const { code, out } = await inlet(["config", "print", "-c", path, "--kafka-port", "1234"]);
    expect([code, out.includes("hunter2")]).toEqual([0, false]);
    expect(parse(out)).toMatchObject({
      kafka: { port: 1234 },
      lake: { catalogs: { main: { auth: { token: "********" } } } },
    });
    const json = await inlet(["--format", "json", "config", "print", "-c", path]);
    expect(JSON.parse(json.out)).toMatchObject({ kafka: { port: 9092 } });
  });

  test("print keeps to itself what a catalog's properties and parameters hold", async () => {
    const properties =
      "{ prefix: lake, header.Authorization: hunter1, credential: hunter2, s3.secret-access-key: hunter3, token: hunter4 }";
    const path = file(
      "properties.yaml",
      `lake: { catalogs: { main: { type: rest, uri: "http://c:1/x?token=hunter5", properties: ${properties} } } }\n`,
    );
    for (const format of ["text", "json"]) {
      const { code, out } = await inlet(["--format", format, "config", "print", "-c", path]);
      expect([code, /hunter\d/.exec(out)?.[0]]).toEqual([0, undefined]);
      expect(parse(out)).toMatchObject({
        lake: { catalogs: { main: { uri: "http://c:1/x?token=********", properties: { prefix: "lake" } } } },
      });
    }
    const wrong = file(
      "number.yaml",
      "lake: { catalogs: { main: { type: rest, uri: http://c:1, properties: { token: 4711 } } } }\n",
    );
    const { code, error } = await inlet(["config", "check", "-c", wrong]);
    expect([code, error.includes("properties.token must be text"), error.includes("4711")]).toEqual([2, true, false]);
  });

  test("schema prints the schema for editors", async () => {
    expect(JSON.parse((await inlet(["config", "schema"])).out)).toMatchObject({ additionalProperties: false });
  });
});

describe("start and demo", () => {
  const brokerThat = (failed: Promise<unknown>) => {
    const seen: { config?: Config; closed: boolean } = { closed: false };
    const openBroker = (config: Config) => {
      seen.config = config;
      return Promise.resolve({
        failed,
        [Symbol.asyncDispose]: () => {
          seen.closed = true;
          return Promise.resolve();
        },
      });
    };
    return { seen, server: { openBroker, runDemo: () => Promise.resolve(0) } };
  };

  test("start runs until the signal, then closes the broker, with 0", async () => {
    const stop = new AbortController();
    const { seen, server } = brokerThat(new Promise(() => undefined));
    const running = inlet(["start", "--kafka-port", "0"], { server, graceful: () => stop.signal });
    stop.abort();
    expect((await running).code).toBe(0);
    expect([seen.config?.settings.kafkaPort, seen.closed]).toEqual([0, true]);
  });

  test("a broker that cannot go on is closed and told, with 1", async () => {
    const { seen, server } = brokerThat(Promise.resolve(new Error("fenced by another node")));
    const { code, error } = await inlet(["start"], { server });
    expect([code, error, seen.closed]).toEqual([1, "inlet: the broker cannot go on: fenced by another node\n", true]);
  });

  test("a configuration that is refused opens nothing", async () => {
    const { seen, server } = brokerThat(Promise.resolve());
    expect((await inlet(["start", "--kafka-port", "x"], { server })).code).toBe(2);
    expect(seen.config).toBeUndefined();
  });

  test("demo hands on what was said and ends with its verdict", async () => {
    let asked: unknown;
    const server = {
      ...brokerThat(Promise.resolve()).server,
      runDemo: (options: unknown) => {
        asked = options;
        return Promise.resolve(1);
      },
    };
    expect((await inlet(["demo", "--exit", "--kafka-port", "7"], { server })).code).toBe(1);
    expect(asked).toMatchObject({ exit: true, choice: { flags: new Map([["--kafka-port", "7"]]) } });
  });
});

describe("tables", () => {
  const orders = { topic: "orders", catalog: "main", table: "sales.orders", state: "running", rows: 7 };
  const served = { ...orders, catalogUri: "http://127.0.0.1:1234", warehouse: "main" };

  async function withAdminApi(args: readonly string[], token?: string, tables: readonly TableStatus[] = [served]) {
    const { clock } = systemRuntime();
    await using server = await openHttpServer({
      name: "admin",
      host: "127.0.0.1",
      port: 0,
      routes: [
        ...adminRoutes({
          metrics: () => "",
          metricsContentType: "text/plain",
          unreadyBecause: () => [],
          status: () => ({}),
          tables: () => tables,
          flushTable: (topic) =>
            Promise.resolve(topic === "orders" ? { kind: "flushed", detail: { rows: 7 } } : { kind: "no-table" }),
        }),
        ...tableStateRoutes({
          tableState: (topic) =>
            Promise.resolve(topic === "orders" ? { kind: "ok", detail: standing } : { kind: "no-table" }),
          resumeTable: (_topic, how) =>
            Promise.resolve(
              how === "accept" ? { kind: "refused", reason: "it was replaced" } : { kind: "ok", detail: standing },
            ),
        }),
        { method: "GET", path: "/other", handle: () => jsonResponse(200, {}) },
      ],
      hostsAllowed: [],
      ...(token === undefined ? {} : { token }),
      bodyBytesMax: 1000,
      connectionsMax: 5,
      requestMsMax: 1000,
      closeMsMax: 100,
      clock,
      logger: openLogger({ levels: new LogLevels("fatal"), repeatsMax: 1, repeatsMs: 1, clock }),
    });
    return await inlet(["--admin", server.url, "table", ...args]);
  }

  test("list prints a table, or JSON", async () => {
    expect((await withAdminApi(["list"])).out).toBe(
      "TOPIC   TABLE         CATALOG  STATE    ROWS\norders  sales.orders  main     running  7\n",
    );
    expect(JSON.parse((await withAdminApi(["list", "--format", "json"])).out)).toMatchObject([{ topic: "orders" }]);
  });

  test("list says of each table why it does not go on", async () => {
    const paused = { ...orders, topic: "a", state: "paused", reason: "it was dropped" };
    const waiting = { ...orders, topic: "b", trouble: "the catalog cannot be reached" };
    const { out } = await withAdminApi(["list"], undefined, [orders, paused, waiting]);
    expect(out).toMatch(
      /^TOPIC .* WHY\norders .*running +7 +-\na .*paused +7 +it was dropped\nb .*running +7 +the catalog cannot/,
    );
  });

  test("connect takes the address of the catalog from the broker, and says so when there is none", async () => {
    expect((await withAdminApi(["connect", "orders"])).out).toContain("ENDPOINT 'http://127.0.0.1:1234'");
    const said = (...args: readonly string[]) => withAdminApi(["connect", "orders", ...args], undefined, [orders]);
    expect(await said()).toMatchObject({
      code: 1,
      error: expect.stringContaining("catalog main does not speak REST") as string,
    });
    expect((await said("--catalog-uri", "http://h:9")).out).toContain("ENDPOINT 'http://h:9'");
  });

  test("the token that the admin API wants is shown to it", async () => {
    expect(await withAdminApi(["list"], "s3cret")).toMatchObject({
      code: 1,
      error: "inlet: a token is wanted: say --admin-token, or set INLET_HTTP_TOKEN\n",
    });
    expect(await withAdminApi(["list", "--admin-token", "s3cret"], "s3cret")).toMatchObject({ code: 0 });
  });

  test("flush reports, and a topic without a table is 4", async () => {
    expect(JSON.parse((await withAdminApi(["flush", "orders"])).out)).toEqual({ rows: 7 });
    expect(await withAdminApi(["flush", "none"])).toEqual({
      code: 4,
      out: "",
      error: "inlet: topic none has no table\n",
    });
    expect((await withAdminApi(["connect", "none"])).code).toBe(4);
  });

  const partition = { partition: 0, end: 9, translatedTo: 8, committedTo: 7, translationLag: 1, commitLag: 1 };
  const standing = {
    topic: "orders",
    state: "paused",
    reason: "why",
    snapshotId: "7",
    rejects: null,
    partitions: [partition],
  };

  test("status prints figures and a line a partition, or JSON", async () => {
    const { code, out } = await withAdminApi(["status", "orders"]);
    expect([code, out]).toEqual([
      0,
      `topic:          orders
state:          paused
reason:         why
snapshot id:    7
next:           put that right, then inlet table resume orders --accept; or --retranslate, for a new table

PARTITION  END  TRANSLATED-TO  COMMITTED-TO  TRANSLATION-LAG  COMMIT-LAG
0          9    8              7             1                1
`,
    ]);
    expect(JSON.parse((await withAdminApi(["status", "orders", "--format", "json"])).out)).toEqual(standing);
    expect((await withAdminApi(["status", "none"])).code).toBe(4);
  });

  test("resume wants one way, and says why a table cannot go on", async () => {
    expect((await withAdminApi(["resume", "orders"])).code).toBe(2);
    expect((await withAdminApi(["resume", "orders", "--accept", "--retranslate"])).code).toBe(2);
    expect(await withAdminApi(["resume", "orders", "--accept"])).toEqual({
      code: 1,
      out: "",
      error: "inlet: it was replaced\n",
    });
    expect((await withAdminApi(["resume", "orders", "--retranslate"])).out).toContain("state:          paused");
  });

  test.each(engines)("connect prints what to paste into %s, with true addresses", async (engine) => {
    const { code, out } = await withAdminApi([
      "connect",
      "orders",
      "-e",
      engine,
      "--catalog-uri",
      "http://h:9",
      "--warehouse",
      "w",
    ]);
    expect([code, out.includes("http://h:9"), /sales"?\.?"?\.?"?orders/.test(out)]).toEqual([0, true, true]);
  });

  test("an address that is none is 2 and says what one looks like", async () => {
    const wrong = [
      [["--admin", "localhost:8080", "table", "list"], "--admin"],
      [["--brokers", "localhost", "topic", "list"], "--brokers"],
      [["--brokers", "h:9092,,h:9093", "group", "list"], "--brokers"],
      [["--brokers", "h:99999", "topic", "list"], "--brokers"],
    ] as const;
    for (const [args, name] of wrong) {
      const { code, error } = await inlet(args);
      expect([code, error.includes(name)], args.join(" ")).toEqual([2, true]);
    }
  });

  test("a header that is no key=value is 2, and nothing is written", async () => {
    const { code, error } = await inlet(["topic", "produce", "t", "-H", "plain"], { input: "x\n" });
    expect([code, error.includes("plain")]).toEqual([2, true]);
  });

  test("sql prints each column of an answer, also of one name", async () => {
    const answer = {
      columns: [
        { name: "id", type: "INTEGER" },
        { name: "id", type: "INTEGER" },
      ],
      rows: [[1, 2]],
      isCut: false,
      tables: [],
    };
    const admin = createServer((_request, response) => response.end(JSON.stringify(answer))).listen(0, "127.0.0.1");
    await once(admin, "listening");
    const url = `http://127.0.0.1:${(admin.address() as AddressInfo).port}`;
    const { out } = await inlet(["--admin", url, "sql", "SELECT 1 AS id, 2 AS id"]);
    admin.close();
    expect(out).toBe("id  id\n1   2\n");
  });

  test("at says when the snapshot was committed as people write it", async () => {
    const answer = { snapshotId: "7", committedMs: 1_769_860_800_000, isFirst: true, isExact: true, sql: {} };
    const admin = createServer((_request, response) => response.end(JSON.stringify(answer))).listen(0, "127.0.0.1");
    await once(admin, "listening");
    const url = `http://127.0.0.1:${(admin.address() as AddressInfo).port}`;
    const { out } = await inlet(["--admin", url, "table", "at", "orders", "--offset", "0:1"]);
    admin.close();
    expect(out).toBe("snapshot 7, committed at 2026-01-31 12:00:00 UTC\n");
  });

  test("plan says where a file is no YAML, with 2", async () => {
    const path = file("broken.yaml", "topics:\n  a: [1\n");
    const { code, error } = await inlet(["table", "plan", "a", "-c", path]);
    expect([code, error.includes(`${path}:`)]).toEqual([2, true]);
  });

  test("an answer that is not the admin API's is 1, without a stack", async () => {
    const page = createServer((_request, response) => response.end("<html>")).listen(0, "127.0.0.1");
    await once(page, "listening");
    const url = `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
    const { code, error } = await inlet(["--admin", url, "table", "list"]);
    page.close();
    expect([code, error.includes(url)]).toEqual([1, true]);
  });

  test("an admin API that does not answer is 3", async () => {
    expect((await inlet(["--admin", "http://127.0.0.1:1", "table", "list"])).code).toBe(3);
  });
});

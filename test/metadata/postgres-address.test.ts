/** Proves: a PostgreSQL URL is read as libpq's users expect, TLS is on beyond this machine, and no refusal repeats the URL. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OperationFailed } from "../../src/base/errors.ts";
import { isPostgresUrl, postgresAddress } from "../../src/metadata/postgres-address.ts";

describe("a PostgreSQL URL", () => {
  test("gives host, port, database and decoded credentials, and a name without them", () => {
    const { name, cluster, connection } = postgresAddress("postgresql://in%40let:p%2Fw@db.example:5433/meta?cluster=a");
    expect(connection).toEqual({
      host: "db.example",
      port: 5433,
      database: "meta",
      user: "in@let",
      password: "p/w",
      ssl: { rejectUnauthorized: true },
    });
    expect(cluster).toBe("a");
    expect(name).toBe("metadata log in postgres://db.example:5433/meta");
  });

  test("without a port or credentials leaves them to the defaults", () => {
    const { connection, cluster } = postgresAddress("postgres://[::1]/meta");
    expect(connection).toEqual({ host: "::1", port: 5432, database: "meta", ssl: false });
    expect(cluster).toBe("inlet");
  });

  test.each([
    ["postgres://db/meta", { rejectUnauthorized: true }],
    ["postgres://db/meta?sslmode=disable", false],
    ["postgres://db/meta?sslmode=require", { rejectUnauthorized: false }],
    ["postgres://127.0.0.1/meta", false],
    ["postgres://localhost/meta?sslmode=verify-full", { rejectUnauthorized: true }],
  ])("%s decides about TLS", (url, ssl) => {
    expect(postgresAddress(url).connection.ssl).toEqual(ssl);
  });

  test.each([
    "postgres://user:hunter2@/meta",
    "postgres://user:hunter2@db",
    "postgres://user:hunter2@db:port/meta",
    "postgres://user:hunter2@db/meta?sslmode=prefer",
    "postgres://user:hunter2@db/meta?passfile=hunter2",
    "mysql://user:hunter2@db/meta",
  ])("%s is refused without a word of it", (url) => {
    let refusal: unknown;
    try {
      postgresAddress(url);
    } catch (cause) {
      refusal = cause;
    }
    expect(refusal).toBeInstanceOf(OperationFailed);
    expect(String(refusal)).not.toContain("hunter2");
  });

  test("is told from other URLs", () => {
    expect(["postgres://a/b", "postgresql://a/b", "s3://a/b", "file:///a", ""].map(isPostgresUrl)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

test("no statement is made of values", () => {
  const source = readFileSync(join(import.meta.dirname, "../../src/metadata/postgres-log.ts"), "utf8");
  const statements = source.match(/\bquery(?:<[^(]*)?\(\s*(?:`[^`]*`|"[^"]*"|\w+)/g) ?? [];
  expect(statements.length).toBeGreaterThan(10);
  const constants = new Set(["makingLock", "makeTables"]);
  const made = statements.flatMap((text) => [...text.matchAll(/\$\{([^}]*)\}/g)].map((match) => match[1] as string));
  expect(made.filter((name) => !constants.has(name))).toEqual([]);
  for (const name of constants) expect(source).toMatch(new RegExp(`^const ${name} = [\`\\d]`, "m"));
});

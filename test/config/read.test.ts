/** Proves: configuration comes from flags over variables over the file over defaults, and everything wrong is said at once, with its place and its fix. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigRefused } from "../../src/config/problem.ts";
import { type ConfigSources, loadConfig, readConfig } from "../../src/config.ts";

function sources(text: string, extra: Partial<ConfigSources> = {}): ConfigSources {
  return {
    file: { name: "inlet.yaml", text },
    environment: {},
    flags: new Map(),
    readFile: () => undefined,
    ...extra,
  };
}

function problemsOf(text: string, extra: Partial<ConfigSources> = {}): readonly string[] {
  try {
    readConfig(sources(text, extra));
  } catch (cause) {
    if (cause instanceof ConfigRefused) return cause.message.split("\n");
    throw cause;
  }
  return [];
}

describe("precedence", () => {
  test("a flag beats a variable beats the file beats the default", () => {
    const file = "kafka: { port: 1, host: 10.0.0.1 }\nhttp: { port: 2 }\n";
    const { settings } = readConfig(
      sources(file, {
        environment: { INLET_KAFKA_PORT: "3", INLET_HTTP_PORT: "4" },
        flags: new Map([["--kafka-port", "5"]]),
      }),
    );
    expect([settings.kafkaPort, settings.httpPort, settings.kafkaHost, settings.registryPort]).toEqual([
      5,
      4,
      "10.0.0.1",
      8081,
    ]);
  });

  test("units are read in each place", () => {
    const { settings } = readConfig(
      sources("memory: { bytes: { max: 2GiB } }", {
        environment: { INLET_HTTP_REQUEST_MS_MAX: "1.5s" },
        flags: new Map([["--kafka-request-bytes-max", "65536"]]),
      }),
    );
    expect([settings.memoryBytesMax, settings.httpRequestMsMax, settings.requestBytesMax]).toEqual([
      2 ** 31,
      1500,
      65536,
    ]);
  });

  test("a list is a YAML list, or words with commas", () => {
    const fromFile = readConfig(sources("http: { hosts: { allowed: [a.example, b.example] } }"));
    const fromVariable = readConfig(sources("", { environment: { INLET_HTTP_HOSTS_ALLOWED: "a.example, b.example" } }));
    expect(fromFile.settings.httpHostsAllowed).toEqual(["a.example", "b.example"]);
    expect(fromVariable.settings.httpHostsAllowed).toEqual(["a.example", "b.example"]);
  });

  test("an empty file and no file mean defaults, with an embedded catalog", () => {
    const config = readConfig({ ...sources(""), file: undefined });
    expect(config).toEqual(readConfig(sources("# nothing\n")));
    expect([...config.catalogs]).toEqual([["main", { type: "embedded" }]]);
    expect(config.tables).toEqual([]);
  });

  test("a variable that is no setting is a warning, unless an orchestrator makes it or a command reads it", () => {
    const environment = {
      INLET_KAFAK_PORT: "1",
      INLET_PORT: "tcp://10.0.0.1:9092",
      INLET_SERVICE_HOST: "10.0.0.1",
      INLET_USER: "alice",
      INLET_PASSWORD: "hers",
    };
    expect(readConfig(sources("", { environment })).warnings).toEqual([
      'INLET_KAFAK_PORT is no setting; did you mean "INLET_KAFKA_PORT"?',
    ]);
  });
});

describe("problems", () => {
  test("all are said at once, in the order of the file, each with its place and fix", () => {
    const text = `kafka:
  prot: 9092
  host: 7
http: { port: 99999 }
lake:
  catalogs:
    main: { type: rest, uri: ftp://x }
    other: { type: hadoop }
topics:
  orders:
    table: { catalog: mian, name: sales.orders }
    quality: [positive]
    layout: { partition_by: [dya(ts), "bucket(id)"] }
    commit: { every: soon }
  copy: { table: { catalog: main, name: Sales.Orders }, errors: { policy: dql } }
`;
    expect(problemsOf(text, { flags: new Map([["--http-prot", "1"]]) })).toEqual([
      'inlet.yaml:2:3: unknown key "prot" in kafka; did you mean "port"?',
      "inlet.yaml:3:9: kafka.host must be text, not 7; put it in quotes",
      "inlet.yaml:4:15: http.port must be at most 65535, not 99999",
      "inlet.yaml:7:30: lake.catalogs.main.uri must be an http or https URL; write http://host:8181",
      'inlet.yaml:8:20: lake.catalogs.other.type must be one of rest, jdbc, glue, hms, s3tables, embedded, not "hadoop"',
      'inlet.yaml:11:23: there is no catalog "mian"; did you mean "main"?',
      'inlet.yaml:12:5: "quality" in topics.orders belongs to a feature that this version does not have; remove it',
      'inlet.yaml:13:30: topics.orders.layout.partition_by[0] must be a column, year(c), month(c), day(c), hour(c), bucket(16, c) or truncate(4, c), not "dya(ts)"',
      'inlet.yaml:13:39: topics.orders.layout.partition_by[1] must be a column, year(c), month(c), day(c), hour(c), bucket(16, c) or truncate(4, c), not "bucket(id)"; bucket takes a width and a column: bucket(16, id)',
      'inlet.yaml:14:22: topics.orders.commit.every must be a duration such as 30s, not "soon"',
      'inlet.yaml:15:75: topics.copy.errors.policy must be one of suspend, skip, dlq, not "dql"; did you mean "dlq"?',
      '--http-prot: there is no such setting; did you mean "--http-port"?',
    ]);
  });

  test("tables of the same name collide, letter case aside, dead-letter tables included", () => {
    const text = `topics:
  a: { table: { name: s.t } }
  b: { table: { name: S.T } }
  c: { table: { name: s.t_dlq }, errors: { policy: skip } }
`;
    expect(problemsOf(text)).toEqual([
      "inlet.yaml:3:23: table S.T of topic b is already that of topic a (inlet.yaml:2:23); give one of them another name",
      "inlet.yaml:4:23: table s.t_dlq of topic c is already that of topic a (inlet.yaml:2:6); give one of them another name",
    ]);
  });

  test("dead letters of dead letters do not go round", () => {
    const text = `topics:
  a: { errors: { dlq: { topic: b } } }
  b: { errors: { dlq: { topic: a } } }
  c: { errors: { dlq: { topic: c } } }
  d: { errors: { dlq: { topic: "d/dlq" } } }
  e: { errors: { dlq: { topic: f } } }
  f: { errors: { policy: skip, dlq: { topic: e } } }
`;
    const fix = "name a topic that has none";
    expect(problemsOf(text)).toEqual([
      `inlet.yaml:2:32: topic b has a topic of dead letters itself; ${fix}`,
      `inlet.yaml:3:32: topic a has a topic of dead letters itself; ${fix}`,
      `inlet.yaml:4:32: topic c has a topic of dead letters itself; ${fix}`,
      'inlet.yaml:5:32: "d/dlq" is no name for a topic; use letters, digits, dots, underscores and dashes, 249 at most',
    ]);
  });

  test("what is missing is named with what it is for", () => {
    expect(problemsOf("lake: { catalogs: { main: { type: rest } } }")).toEqual([
      "inlet.yaml:1:27: lake.catalogs.main.uri is missing; say lake.catalogs.main.uri (text): base URL of the catalog, without /v1.",
    ]);
    const two = "lake: { catalogs: { a: { type: embedded }, b: { type: embedded } } }\ntopics: { t: {} }";
    expect(problemsOf(two)).toEqual(["inlet.yaml:2:14: topics.t.table.catalog is missing; say one of a, b"]);
  });

  test("a catalog's place and database are checked", () => {
    const text = `lake:
  catalogs:
    a: { type: jdbc, uri: mysql://h/d }
    b: { type: jdbc, uri: "sqlite:/srv/catalog.db", warehouse: /srv/lake }
    c: { type: glue, endpoint: localhost, credentials: { access_key: me } }
    d: { type: hms, uri: "http://metastore:9083" }
topics:
  Web.Clicks: { table: { catalog: c, name: kafka.Web_Clicks } }
`;
    expect(problemsOf(text)).toEqual([
      "inlet.yaml:3:27: lake.catalogs.a.uri names no database that this catalog can open; write postgres://user:password@host:5432/database, or sqlite:/path/of/the/file",
      "inlet.yaml:4:64: lake.catalogs.b.warehouse must be the URI of a place in a bucket; write s3://bucket/path, or leave it out for the broker's own (catalog.warehouse)",
      "inlet.yaml:5:32: lake.catalogs.c.endpoint must be an http or https URL; write https://host",
      "inlet.yaml:5:56: lake.catalogs.c.credentials needs both access_key and secret_key; say both, the secret best as ${env:NAME} or ${file:/path}",
      "inlet.yaml:6:26: lake.catalogs.d.uri must say where the metastore listens; write thrift://host:9083, several joined by commas",
      "inlet.yaml:8:44: a glue catalog holds one database and a table of lower-case letters, digits and underscores, not kafka.Web_Clicks; write kafka.web_clicks",
    ]);
  });

  test("a partition field names a metadata column that the table has", () => {
    expect(problemsOf("topics: { t: { layout: { partition_by: [day(_kafka_timestmp)] } } }")[0]).toContain(
      'the table has no metadata column _kafka_timestmp; did you mean "_kafka_timestamp"?',
    );
    expect(problemsOf("topics: { t: { layout: { partition_by: [day(_kafka_timestamp), day(other)] } } }")).toEqual([]);
  });

  test("YAML that is no YAML is said with its line", () => {
    expect(problemsOf("kafka:\n  port: [1\n")[0]).toMatch(/^inlet\.yaml:\d+:\d+: /);
    expect(problemsOf("- a\n")).toEqual([
      'inlet.yaml:1:1: the file must be a map of settings; write "key: value" lines',
    ]);
    expect(problemsOf("kafka: { port: 1 }\nkafka: { port: 2 }\n")[0]).toContain('2:1: "kafka" is said twice');
  });

  test("YAML that is no YAML is said once, in words that need no knowledge of a library", () => {
    expect(problemsOf("kafka:\n\tport: 1\n")).toEqual([
      "inlet.yaml:2:1: Tabs are not allowed as indentation; indent with spaces",
    ]);
    expect(problemsOf("topics: { a: { value: { decode: json }\n")).toEqual([
      expect.stringMatching(/^inlet\.yaml:2:1: .*; look at the indentation, quotes and brackets here and above$/),
    ]);
    expect(problemsOf("kafka: { port: 1 }\n---\nhttp: { port: 2 }\n")).toEqual([
      "inlet.yaml:2:1: the file has several documents; remove the line ---",
    ]);
  });

  test("the setting as the docs name it is told how YAML says it", () => {
    expect(problemsOf("kafka.port: 9093\n")).toEqual([
      'inlet.yaml:1:1: unknown key "kafka.port"; write kafka: { port: .. }',
    ]);
    expect(problemsOf("wal: { bytes.max: 1GiB }\n")).toEqual([
      'inlet.yaml:1:8: unknown key "bytes.max" in wal; write bytes: { max: .. }',
    ]);
  });

  test("a block that stands too far to the left is told so", () => {
    expect(problemsOf("topics:\n  orders:\n  table: { name: a.b }\n")).toEqual([
      'inlet.yaml:3:12: unknown key "name" in topics.table; is "table" indented too little? As it stands it is a topic',
    ]);
  });

  test("a number alone where a duration is wanted is told what it means", () => {
    expect(problemsOf("topics: { a: { commit: { every: 30 } } }")).toEqual([
      "inlet.yaml:1:33: topics.a.commit.every must be at least 1s, not 30; a number alone is milliseconds: write 30s",
    ]);
  });

  test("addresses that can be none are found before the start", () => {
    expect(problemsOf("catalog: { warehouse: my bucket }")).toEqual([
      expect.stringMatching(/^inlet\.yaml:1:23: catalog\.warehouse: .*begins with s3:/),
    ]);
    expect(problemsOf("catalog: { warehouse: 's3://lake/tables' }")).toEqual([]);
    expect(problemsOf("metadata: { url: 'mysql://u:hunter2@h/d' }")).toEqual([
      expect.stringMatching(/^inlet\.yaml:1:18: metadata\.url is postgres:.*it begins with mysql:/),
    ]);
    for (const url of ["bucket", "/var/lib/inlet", "file:///var/lib/inlet", "postgres://u@h:5432/d"])
      expect(problemsOf(`metadata: { url: '${url}' }`)).toEqual([]);
  });

  test("a port that two listeners would take is found before the start", () => {
    expect(problemsOf("kafka: { port: 8080 }")).toEqual([
      "inlet.yaml:1:16: kafka.port and http.port are both 8080; give one of them another",
    ]);
    expect(problemsOf("kafka: { port: 0 }\nhttp: { port: 0 }")).toEqual([]);
    expect(problemsOf("kafka: { port: 8080, host: 10.0.0.1 }\nhttp: { host: 10.0.0.2 }")).toEqual([]);
    expect(problemsOf("registry: { enabled: false }\nhttp: { port: 8081 }")).toEqual([]);
  });
});

describe("substitution", () => {
  test("variables and files are filled in, in values only, and once", () => {
    const text = `node: { id: "\${env:ID}" }
data: { directory: "/data/\${env:NAME}/$\${plain}" }
lake: { catalogs: { main: { type: rest, uri: "http://c:1", auth: { token: "\${file:/run/token}" } } } }
`;
    const config = readConfig(
      sources(text, {
        environment: { ID: "7", NAME: "${env:ID}" },
        readFile: (path) => (path === "/run/token" ? "s3cret\n" : undefined),
      }),
    );
    expect(config.settings.nodeId).toBe(7);
    expect(config.settings.dataDirectory).toBe("/data/${env:ID}/${plain}");
    expect(config.catalogs.get("main")).toMatchObject({ auth: { kind: "bearer", token: "s3cret" } });
  });

  test("files with secrets that everybody may read are warned of", async () => {
    const directory = await mkdtemp(join(tmpdir(), "inlet-config-"));
    const [token, users, key] = ["token", "users", "key.pem"].map((name) => join(directory, name));
    for (const path of [token, users, key]) await writeFile(path as string, "s3cret");
    const listener = `{ port: 9093, protocol: SASL_SSL, mechanisms: [PLAIN], tls: { certificate: c.pem, key: ${key} } }`;
    const file = join(directory, "inlet.yaml");
    const main = `{ type: rest, uri: "http://c:1", auth: { token: "\${file:${token}}" } }`;
    await writeFile(
      file,
      `lake: { catalogs: { main: ${main} } }\nsasl: { users_file: ${users} }\nlisteners: { all: ${listener} }\n`,
    );
    const warnings = () => loadConfig({ file, flags: new Map() }).warnings.filter((text) => text.includes(directory));
    for (const path of [token, users, key]) await chmod(path as string, 0o644);
    expect(warnings()).toEqual(
      [token, key, users].map(
        (path) => `everybody on this machine may read ${path}, which holds a secret: chmod 600 ${path}`,
      ),
    );
    for (const path of [token, users, key]) await chmod(path as string, 0o640);
    expect(warnings()).toEqual([]);
    await rm(directory, { recursive: true });
  });

  test("what cannot be filled in is said", () => {
    expect(problemsOf('data: { directory: "${env:NONE}${vault:x}" }')).toEqual([
      "inlet.yaml:1:20: the variable NONE is not set",
      'inlet.yaml:1:20: "${vault:x}" names no source; write ${env:NAME} or ${file:/path}',
    ]);
    // What follows from it is no problem of its own.
    expect(problemsOf('kafka: { port: "${env:NONE}" }\ncatalog: { token: "${file:/none}" }')).toEqual([
      "inlet.yaml:1:16: the variable NONE is not set",
      "inlet.yaml:2:19: the file /none cannot be read",
    ]);
  });

  test("neither a message nor a print shows a secret or what a reference stood for", () => {
    const environment = { SECRET: "hunter2", LEVEL: "hunter3" };
    const auth = 'auth: { oauth2: { token_uri: "http://t", client_id: me, client_secret: "hunter4" } }';
    const text = `lake: { catalogs: { main: { type: rest, uri: "http://c:1/\${env:SECRET}", ${auth} } } }`;
    const shown = JSON.stringify(readConfig(sources(text, { environment })).shown);
    expect(shown).not.toMatch(/hunter/);
    expect(shown).toContain("${env:SECRET}");
    expect(problemsOf('logging: { level: "${env:LEVEL}" }', { environment }).join()).not.toMatch(/hunter/);
    const url = 'object: { store: { url: "s3://b/p?accessKey=hunter5&region=r&secretKey=hunter6" } }';
    const masked = "s3://b/p?accessKey=********&region=r&secretKey=********";
    expect(readConfig(sources(url)).shown).toMatchObject({ object: { store: { url: masked } } });
  });
});

test("a secret that comes from somewhere where there is none is not taken for none", () => {
  const environment = { TOKEN: "" };
  expect(problemsOf('http: { token: "${env:TOKEN}" }', { environment })).toEqual([
    expect.stringContaining("http.token is empty: ${env:TOKEN} has nothing in it"),
  ]);
  expect(problemsOf('http: { token: "" }', { environment })).toEqual([]);
});

describe("hostile files", () => {
  test("no key reaches a prototype", () => {
    const text = "__proto__: { polluted: 1 }\ntopics: { __proto__: { table: { name: a.b } }, constructor: {} }\n";
    expect(problemsOf(text)).toEqual([expect.stringContaining('unknown key "__proto__"')]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    const config = readConfig(sources("topics: { constructor: {} }"));
    expect(config.tables.map(({ topic }) => topic)).toEqual(["constructor"]);
  });

  test("aliases are expanded under a bound", () => {
    const levels = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`);
    const bomb = `a0: &a0 [x]\n${levels.join("\n")}\n`;
    expect(problemsOf(bomb).some((line) => line.includes("more than"))).toBe(true);
    expect(problemsOf("a: &a [*a]\n").length).toBeGreaterThan(0);
  });
});

describe("tables", () => {
  test("a topic with nothing said becomes a table with every default", () => {
    expect(readConfig(sources("topics: { web.clicks: }")).tables).toEqual([
      {
        topic: "web.clicks",
        catalog: "main",
        namespace: ["kafka"],
        table: "web_clicks",
        create: true,
        location: null,
        formatVersion: 2,
        value: { decode: "schema-id", subject: null, onTypeChange: "dead-letter" },
        key: { decode: "raw" },
        headers: "list",
        metadataPrefix: "_kafka",
        metadataColumns: ["partition", "offset", "timestamp", "timestamp_type", "key", "headers"],
        partitionBy: [],
        mode: { write: "append", key: [], envelope: "none", opField: "op", tombstone: "delete" },
        sortBy: [],
        commit: { everyMs: 30_000, bytesMax: 536870912 },
        errors: { policy: "dlq", deadLetterTable: "web_clicks_dlq" },
        expire: { keepMs: 604_800_000, keepMin: 10 },
        retention: "wait",
        maintain: { rewrites: true, manifests: true, orphansMs: 604_800_000 },
      },
    ]);
  });

  test.each([
    ["", { rewrites: true, manifests: true }],
    ['compact: "off"', { rewrites: false, manifests: false }],
    ['compact: "off", manifests: auto', { rewrites: false, manifests: true }],
    ['manifests: "off"', { rewrites: true, manifests: false }],
  ])("maintain: { %s } rewrites manifests as files, unless they are spoken of", (maintain, expected) => {
    const lake = "lake: { catalogs: { main: { type: rest, uri: http://127.0.0.1:8181, warehouse: w } } }";
    const text = `${lake}\ntopics:\n  orders: { table: { catalog: main, name: a.b }, maintain: { ${maintain} } }\n`;
    expect(readConfig(sources(text)).tables[0]?.maintain).toMatchObject(expected);
  });

  test("everything that can be said about a topic arrives", () => {
    const text = `lake:
  catalogs:
    main: { type: rest, uri: http://127.0.0.1:8181/, warehouse: w, auth: { oauth2: { token_uri: http://t, client_id: i, client_secret: s, scope: x } }, properties: { prefix: p } }
topics:
  orders:
    table: { catalog: main, name: a.b.c, create: false, location: s3://bucket/c, format_version: 3 }
    value: { decode: json, subject: orders, on_type_change: new-column }
    key: { decode: string }
    headers: { as: none }
    columns: { metadata: { prefix: meta, include: [offset, headers] } }
    layout: { partition_by: [day(ts), "bucket(16, id)", "truncate(4,name)", region, hour(meta_offset)], sort_by: [id, name DESC, "ts desc nulls first"] }
    commit: { every: 5s, max_bytes: 1MiB }
    errors: { policy: dlq, dlq: { table: bad, topic: orders.dlq } }
    maintain: { expire: 1d, keep: 3 }
`;
    const { tables, catalogs } = readConfig(sources(text));
    expect(catalogs.get("main")).toEqual({
      type: "rest",
      name: "main",
      uri: "http://127.0.0.1:8181",
      warehouse: "w",
      auth: { kind: "oauth2", tokenUri: "http://t", clientId: "i", clientSecret: "s", scope: "x" },
      accessDelegation: null,
      properties: new Map([["prefix", "p"]]),
    });
    expect(tables).toEqual([
      {
        topic: "orders",
        catalog: "main",
        namespace: ["a", "b"],
        table: "c",
        create: false,
        location: "s3://bucket/c",
        formatVersion: 3,
        value: { decode: "json", subject: "orders", onTypeChange: "new-column" },
        key: { decode: "string" },
        headers: "none",
        metadataPrefix: "meta",
        metadataColumns: ["offset"],
        partitionBy: [
          { column: "ts", transform: "day" },
          { column: "id", transform: "bucket[16]" },
          { column: "name", transform: "truncate[4]" },
          { column: "region", transform: "identity" },
          { column: "meta_offset", transform: "hour" },
        ],
        mode: { write: "append", key: [], envelope: "none", opField: "op", tombstone: "delete" },
        sortBy: [
          { column: "id", direction: "asc", nulls: "first" },
          { column: "name", direction: "desc", nulls: "last" },
          { column: "ts", direction: "desc", nulls: "first" },
        ],
        commit: { everyMs: 5000, bytesMax: 1048576 },
        errors: { policy: "dlq", deadLetterTable: "bad", deadLetterTopic: "orders.dlq" },
        expire: { keepMs: 86_400_000, keepMin: 3 },
        retention: "wait",
        maintain: { rewrites: true, manifests: true, orphansMs: 604_800_000 },
      },
    ]);
  });
});

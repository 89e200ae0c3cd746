/** Proves: tables get their catalogs and names from the topic, from the lake's template else, and no two topics share one. */
import { expect, test } from "vitest";
import { ConfigRefused } from "../../src/config/problem.ts";
import { tableNameOf } from "../../src/config/table-name.ts";
import { readConfig } from "../../src/config.ts";

function tablesOf(yaml: string): readonly (readonly string[])[] {
  const file = { name: "inlet.yaml", text: yaml };
  const { tables } = readConfig({ flags: new Map(), environment: {}, file, readFile: () => undefined });
  return tables.map(({ topic, catalog, namespace, table }) => [topic, catalog, [...namespace, table].join(".")]);
}

function problemsOf(yaml: string): readonly string[] {
  try {
    tablesOf(yaml);
  } catch (cause) {
    if (cause instanceof ConfigRefused) return cause.problems.map(({ message }) => message);
    throw cause;
  }
  return [];
}

test.each([
  ["kafka.{topic}", "orders", "kafka.orders"],
  ["kafka.{topic}", "EU.orders-v1", "kafka.EU_orders_v1"],
  ["{topic.first}.{topic.rest}", "sales.orders.v1", "sales.orders_v1"],
  ["{topic.first}.{topic.rest}", "orders", "orders.orders"],
  ["raw.{topic.first}.t_{topic}", "a.b", "raw.a.t_a_b"],
  ["sales.orders", "x", "sales.orders"],
])("%s of topic %s is %s", (template, topic, name) => {
  expect(tableNameOf(template, topic, { isLowerCase: false })).toBe(name);
});

const catalogs = `lake:
  catalogs:
    main: { type: embedded }
    aws: { type: glue, region: eu-west-1 }
`;

test("a topic says its catalog and name, else the lake does; in lower case where the catalog knows no other", () => {
  const yaml = `${catalogs}  tables: { catalog: aws, name: "lake.{topic}" }
topics:
  EU.Orders: {}
  US.Orders: { table: { catalog: main } }
  clicks: { table: { name: "web.{topic}_raw" } }
  Sales: { table: { catalog: main, name: s.Exact } }
`;
  expect(tablesOf(yaml)).toEqual([
    ["EU.Orders", "aws", "lake.eu_orders"],
    ["US.Orders", "main", "lake.US_Orders"],
    ["clicks", "aws", "web.clicks_raw"],
    ["Sales", "main", "s.Exact"],
  ]);
});

test("two topics whose names become one are refused, with both names", () => {
  expect(problemsOf(`${catalogs}  tables: { catalog: main }\ntopics: { a.b: {}, a_b: {}, A-B: {} }`)).toEqual([
    "table kafka.a_b of topic a_b is already that of topic a.b (inlet.yaml:6:16)",
    "table kafka.A_B of topic A-B is already that of topic a.b (inlet.yaml:6:16)",
  ]);
  const apart = `${catalogs}  tables: { catalog: main }\ntopics: { a.b: {}, a_b: { table: { catalog: aws } } }`;
  expect(problemsOf(apart)).toEqual([]);
});

test("a word that stands for nothing, and the names of recreated topics' tables, are refused", () => {
  expect(problemsOf('lake: { tables: { name: "k.{tpoic}" } }\ntopics: { a: {} }')).toEqual([
    "{tpoic} stands for nothing in the name of a table",
  ]);
  expect(problemsOf("topics: { a__g2: {} }")).toEqual(["a__g2 is what the table of a recreated topic is called"]);
  expect(problemsOf("topics: { b: { errors: { dlq: { table: a_dlq__g2 } } } }")).toEqual([
    "a_dlq__g2 is what the dead-letter table of a recreated topic is called",
  ]);
});

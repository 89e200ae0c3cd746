/** Proves: certificates' names become principals' as Kafka's rules say, and in time linear in the name. */
import { expect, test } from "vitest";
import { mapName, parseMappingRule, rfc2253 } from "../../src/auth/principal-mapping.ts";

const rules = (...texts: readonly string[]) => texts.flatMap((text) => parseMappingRule(text) ?? []);

test("the first rule that fits the whole name counts", () => {
  const mapping = rules("RULE:CN=([^,]+),OU=Data,.*/$1@data/L", "RULE:CN=(\\w+).*/$1/U", "DEFAULT");
  expect(mapName(mapping, "CN=Alice,OU=Data,O=Example")).toBe("alice@data");
  expect(mapName(mapping, "CN=Alice,OU=Web")).toBe("ALICE");
  expect(mapName(mapping, "O=Example")).toBe("O=Example");
  expect(mapName(rules("RULE:CN=(a)/$1/"), "CN=ab")).toBeUndefined();
  expect(mapName(rules("RULE:CN=(a)(b)?/$1-$2-$7/"), "CN=a")).toBe("a--");
  expect(mapName(mapping, rfc2253("O=Example\nOU=Data\nCN=Bob"))).toBe("bob@data");
});

test("what cannot be matched in linear time is no rule", () => {
  expect(parseMappingRule("RULE:(a)\\1/$1/")).toBeUndefined();
  expect(parseMappingRule("RULE:(?=a)a/$1/")).toBeUndefined();
  expect(parseMappingRule("RULE:(a/$1/")).toBeUndefined();
});

test("a pattern that explodes elsewhere takes no time here", () => {
  const mapping = rules("RULE:CN=((a+)+)+$/$1/", "RULE:CN=(.*a){12}x/$1/");
  const { user } = process.cpuUsage();
  for (let attempt = 0; attempt < 20; attempt += 1) {
    expect(mapName(mapping, `CN=${"a".repeat(2_000)}!`)).toBeUndefined();
  }
  expect(process.cpuUsage().user - user).toBeLessThan(3_000_000); // A backtracking engine would not end.
});

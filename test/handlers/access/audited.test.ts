/** Proves: who administers leaves one line with names and no values; who asks, and who is refused before, leaves none. */
import { expect, test } from "vitest";
import { audited } from "../../../src/handlers/access/audited.ts";
import type { Handlers } from "../../../src/protocol/dispatch.ts";
import { context } from "../../support/log-world.ts";

function world(handlers: Handlers) {
  const lines: object[] = [];
  const log = (message: string, fields: object = {}): void => void lines.push({ message, ...fields });
  const logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  return { handlers: audited(handlers, logger), lines };
}

const alice = context({
  principal: { type: "User", name: "alice", isTokenAuthenticated: false },
  clientHost: "10.0.0.1",
});

test("a change of quotas says whose and how much", async () => {
  const { handlers, lines } = world({ alterClientQuotas: async () => ({ entries: [] }) });
  const entity = [{ entityType: "user", entityName: "bob" }];
  const ops = [
    { key: "producer_byte_rate", value: 1024, remove: false },
    { key: "consumer_byte_rate", value: 0, remove: true },
  ];
  await handlers.alterClientQuotas?.({ entries: [{ entity, ops }], validateOnly: false }, alice);
  const what = ["user bob: producer_byte_rate 1024", "user bob: consumer_byte_rate removed"];
  expect(lines).toEqual([
    { message: "administered", principal: "User:alice", host: "10.0.0.1", api: "alterClientQuotas", what },
  ]);
});

test("a change of configurations or passwords says names and no values; what was refused is said with it", async () => {
  const { handlers, lines } = world({
    incrementalAlterConfigs: async () => ({
      responses: [{ errorCode: 40, errorMessage: "no", resourceType: 2, resourceName: "t" }],
    }),
    alterUserScramCredentials: async () => ({ results: [] }),
  });
  const configs = [{ name: "retention.ms", configOperation: 0, value: "s3cret" }];
  const resources = [{ resourceType: 2, resourceName: "t", configs }];
  await handlers.incrementalAlterConfigs?.({ resources, validateOnly: true }, alice);
  const secret = Buffer.from("s3cret");
  const upsertions = [{ name: "bob", mechanism: 1, iterations: 4096, salt: secret, saltedPassword: secret }];
  await handlers.alterUserScramCredentials?.({ deletions: [{ name: "carol", mechanism: 1 }], upsertions }, alice);
  expect(lines).toMatchObject([
    { api: "incrementalAlterConfigs", what: ["t retention.ms"], isTrial: true, refused: [40] },
    { api: "alterUserScramCredentials", what: ["carol removed", "bob"] },
  ]);
  expect(JSON.stringify(lines)).not.toContain("s3cret");
});

test("a request with many names leaves one line of bounded length", async () => {
  const { handlers, lines } = world({ deleteGroups: async () => ({ results: [] }) });
  await handlers.deleteGroups?.({ groupsNames: Array.from({ length: 1_000 }, () => "g".repeat(32_767)) }, alice);
  expect(lines).toMatchObject([{ more: 980 }]);
  expect(JSON.stringify(lines).length).toBeLessThan(30_000);
});

test("what only asks is handed on as it is", () => {
  const asked = async () => ({ brokers: [], topics: [] });
  expect(world({ metadata: asked }).handlers.metadata).toBe(asked);
});

/** Proves: an ACL holds on every node within a second of its being made, and from a node's first request on. */
import { expect, test } from "vitest";
import { settingsTable } from "../../schemas/config.ts";
import { aclKey, operations, patternTypes, permissions, resourceTypes } from "../../src/access/acl.ts";
import { AuditLog } from "../../src/access/audit-log.ts";
import { Authorizer } from "../../src/access/authorizer.ts";
import type { NodeId } from "../../src/base/ids.ts";
import type { MetadataClient } from "../../src/metadata/client.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { openMetadata } from "../../src/metadata/metadata-client.ts";
import { SimClock } from "../sim/clock.ts";
import { SimRandom } from "../sim/random.ts";
import { context } from "../support/log-world.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { silent } from "../support/seeded.ts";

const clock = new SimClock();
const random = new SimRandom("acl-everywhere");
const log = new MemoryLog();

async function node(nodeId: number): Promise<MetadataClient> {
  const { metadataPollMs, metadataReadEntriesMax } = settingsTable;
  const opening = openMetadata({
    log,
    nodeId: nodeId as NodeId,
    node: { host: "127.0.0.1", port: 9092, rack: null },
    runtime: { clock, random: random.fork(`node ${nodeId}`) },
    logger: silent,
    limits: {
      pollMs: metadataPollMs.default,
      readEntriesMax: metadataReadEntriesMax.default,
      batchProposalsMax: 8,
      batchBytesMax: 10_000,
      proposalsWaitingMax: 100,
      checkpointEntries: 1_000_000,
      retry: { delayMsMin: 10, delayMsMax: 500 },
    },
    failed: (cause) => expect.fail(String(cause)),
  });
  return await clock.until(opening);
}

/** What alice may read there, on a connection that she had before. */
function reading(metadata: MetadataClient): () => boolean {
  const options = { logger: silent, clock, denialsPerSecondMax: 1, denials: noMetrics.accessDenied };
  const audit = new AuditLog({ ...options, tellsAllowed: () => false });
  const authorizer = new Authorizer({ metadata, superUsers: [], allowsWithoutAcl: false, audit });
  const principal = { type: "User", name: "alice", isTokenAuthenticated: false } as const;
  const asking = context({ apiVersion: 12, principal });
  return () => authorizer.access("fetch", asking).may("read", "topic", "t");
}

const key = aclKey({
  resourceType: resourceTypes.topic,
  resourceName: "t",
  patternType: patternTypes.literal,
  principal: "User:alice",
  host: "*",
  operation: operations.read,
  permissionType: permissions.allow,
});
const fact = { table: "acls", key } as const;

test("made on one node, and taken away again", async () => {
  const [here, there] = [await node(1), await node(2)];
  const [readsHere, readsThere] = [reading(here), reading(there)];
  expect([readsHere(), readsThere()]).toEqual([false, false]);
  for (const value of ["", null]) {
    await clock.until(here.propose([{ kind: "set-facts", facts: [{ ...fact, value }] }]));
    const mayNow = value === "";
    expect(readsHere()).toBe(mayNow);
    await clock.run(1_000);
    expect(readsThere()).toBe(mayNow);
  }
  await clock.until(here.propose([{ kind: "set-facts", facts: [{ ...fact, value: "" }] }]));
  expect(reading(await node(3))()).toBe(true); // It answers nobody before it has read what there is.
});

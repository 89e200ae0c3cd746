/** Proves: producer ids are never given out twice, and blocks of them come from the metadata log. */
import { expect, test } from "vitest";
import { initProducerIdHandler, ProducerIds } from "../../../src/handlers/transactions/init-producer-id.ts";
import type { RequestOf } from "../../../src/protocol/api-table.ts";
import { answered, context, named } from "../../support/log-world.ts";
import { MemoryMetadata } from "../../support/memory-metadata.ts";

const request: RequestOf<"initProducerId"> = {
  transactionalId: null,
  transactionTimeoutMs: 60_000,
  producerId: -1,
  producerEpoch: -1,
};

const transactions = {
  limits: {
    timeoutMsMax: 900_000,
    abortCheckIntervalMs: 10_000,
    endWaitMs: 100,
    idsMax: 10,
    idRetentionMs: 604_800_000,
    idCheckIntervalMs: 3_600_000,
    loadWaitMs: 500,
  },
  shard: () => Promise.resolve("NOT_COORDINATOR" as const),
};

test("every call gives a new id and epoch 0, also when an older id is named", async () => {
  const metadata = new MemoryMetadata();
  const handler = initProducerIdHandler({ ids: new ProducerIds({ metadata, blockSize: 10 }), transactions });
  const older = { ...request, producerId: 3, producerEpoch: 7 };
  const answers = await Promise.all(
    Array.from({ length: 25 }, async () => answered(await handler(older, context({ apiVersion: 4 })))),
  );
  expect(new Set(answers.map((answer) => answer.producerId)).size).toBe(25);
  expect(answers.every((answer) => answer.errorCode === 0 && answer.producerEpoch === 0)).toBe(true);
  expect(metadata.proposals).toBe(3);
});

test("two nodes give out different ids", async () => {
  const metadata = new MemoryMetadata();
  const [one, two] = [new ProducerIds({ metadata, blockSize: 3 }), new ProducerIds({ metadata, blockSize: 3 })];
  const ids = await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : two).next()));
  expect(new Set(ids).size).toBe(20);
});

test("without a block the client is told to try again", async () => {
  const metadata = new MemoryMetadata();
  metadata.refusal = () => "no";
  const handler = initProducerIdHandler({ ids: new ProducerIds({ metadata, blockSize: 3 }), transactions });
  expect(named(answered(await handler(request, context())).errorCode)).toBe("COORDINATOR_LOAD_IN_PROGRESS");
});

test("a transactional id needs a coordinator, an empty one is invalid", async () => {
  const handler = initProducerIdHandler({
    ids: new ProducerIds({ metadata: new MemoryMetadata(), blockSize: 3 }),
    transactions,
  });
  const ask = async (fields: Partial<typeof request>): Promise<unknown> =>
    named(answered(await handler({ ...request, ...fields }, context())).errorCode);
  expect(await ask({ transactionalId: "tx" })).toBe("NOT_COORDINATOR");
  expect(await ask({ transactionalId: "" })).toBe("INVALID_REQUEST");
  expect(await ask({ transactionalId: "tx", producerId: 7 })).toBe("INVALID_REQUEST");
  expect(await ask({ transactionalId: "tx", transactionTimeoutMs: 0 })).toBe("INVALID_TRANSACTION_TIMEOUT");
  expect(await ask({ transactionalId: "tx", transactionTimeoutMs: 900_001 })).toBe("INVALID_TRANSACTION_TIMEOUT");
});

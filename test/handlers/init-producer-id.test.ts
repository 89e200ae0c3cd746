/** Proves: producer ids are never given out twice, and blocks of them come from the metadata log. */
import { expect, test } from "vitest";
import { initProducerIdHandler, ProducerIds } from "../../src/handlers/init-producer-id.ts";
import type { RequestOf } from "../../src/protocol/api-table.ts";
import { answered, context, named } from "../support/log-world.ts";
import { MemoryMetadata } from "../support/memory-metadata.ts";

const request: RequestOf<"initProducerId"> = {
  transactionalId: null,
  transactionTimeoutMs: 60_000,
  producerId: -1,
  producerEpoch: -1,
};

test("every call gives a new id and epoch 0, also when an older id is named", async () => {
  const metadata = new MemoryMetadata();
  const handler = initProducerIdHandler({ ids: new ProducerIds({ metadata, blockSize: 10 }) });
  const older = { ...request, producerId: 3, producerEpoch: 7 };
  const answers = await Promise.all(
    Array.from({ length: 25 }, async () => answered(await handler(older, context({ apiVersion: 4 })))),
  );
  expect(new Set(answers.map((answer) => answer.producerId)).size).toBe(25);
  expect(answers.every((answer) => answer.errorCode === 0 && answer.producerEpoch === 0)).toBe(true);
  expect(metadata.proposals).toBe(3);
});

test("an id without its epoch, or an epoch without its id, is refused", async () => {
  const handler = initProducerIdHandler({ ids: new ProducerIds({ metadata: new MemoryMetadata(), blockSize: 10 }) });
  for (const half of [{ producerId: 3 }, { producerEpoch: 7 }]) {
    const answer = answered(await handler({ ...request, ...half }, context({ apiVersion: 4 })));
    expect(named(answer.errorCode)).toBe("INVALID_REQUEST");
  }
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
  const handler = initProducerIdHandler({ ids: new ProducerIds({ metadata, blockSize: 3 }) });
  expect(named(answered(await handler(request, context())).errorCode)).toBe("COORDINATOR_LOAD_IN_PROGRESS");
});

test("a transactional id needs a coordinator, an empty one is invalid", async () => {
  const handler = initProducerIdHandler({ ids: new ProducerIds({ metadata: new MemoryMetadata(), blockSize: 3 }) });
  const ask = async (transactionalId: string): Promise<unknown> =>
    named(answered(await handler({ ...request, transactionalId }, context())).errorCode);
  expect(await ask("tx")).toBe("COORDINATOR_NOT_AVAILABLE");
  expect(await ask("")).toBe("INVALID_REQUEST");
});

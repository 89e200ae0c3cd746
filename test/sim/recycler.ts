/** Who deletes a topic and makes it anew under the same name: nothing of the old one may be found in the new one. */
import { uuidZero } from "../../src/base/ids.ts";
import { buildBatch } from "../../src/protocol/records.ts";
import { type ActorWorld, errorText, nameOf, retriableErrors } from "./actor.ts";
import type { Client } from "./client.ts";
import { commitOffset, fetchOffsets } from "./consumer.ts";

const topic = "scratch";
const place = { topic, index: 0 };

export async function recycle(world: ActorWorld, client: Client): Promise<void> {
  while (world.isBusy()) {
    await client.pause(1_500);
    if (!(await make(client))) continue;
    await expectFresh(world, client);
    if (client.random.chance(0.7)) await commitOffset(client, place, 1);
    await remove(world, client);
  }
}

/** false when nobody can say whether it is the new one. */
async function make(client: Client): Promise<boolean> {
  const wanted = { name: topic, numPartitions: 1, replicationFactor: -1, assignments: [], configs: [] };
  const reply = await client.send("createTopics", { topics: [wanted], timeoutMs: 3000, validateOnly: false }, 6);
  return reply.kind === "answer" && reply.body.topics[0]?.errorCode === 0;
}

/** The first record of a new topic stands at offset 0, and no group has been there. */
async function expectFresh(world: ActorWorld, client: Client): Promise<void> {
  const committed = (await fetchOffsets(client, [place]))?.get(nameOf(place));
  if (committed !== undefined && committed !== -1) {
    world.violated(`a new ${nameOf(place)} has the committed offset ${committed}`);
  }
  const records = buildBatch({ records: [{ timestamp: world.now(), key: null, value: Buffer.from("first") }] });
  const topicData = [{ name: topic, topicId: uuidZero, partitionData: [{ index: 0, records }] }];
  const reply = await client.send("produce", { transactionalId: null, acks: -1, timeoutMs: 3000, topicData }, 12);
  const answer = reply.kind === "answer" ? reply.body.responses[0]?.partitionResponses[0] : undefined;
  if (answer === undefined) return;
  const error = errorText(answer.errorCode);
  if (error === "NONE" && answer.baseOffset !== 0) {
    world.violated(`the first record of a new ${nameOf(place)} stands at ${answer.baseOffset}`);
  }
  if (error !== "NONE" && !retriableErrors.has(error)) world.violated(`produce to a new topic answered ${error}`);
}

/** Until it is gone. */
async function remove(world: ActorWorld, client: Client): Promise<void> {
  for (;;) {
    const topics = [{ name: topic, topicId: uuidZero }];
    const reply = await client.send("deleteTopics", { topics, topicNames: [], timeoutMs: 3000 }, 6);
    const code = reply.kind === "answer" ? reply.body.responses[0]?.errorCode : undefined;
    const error = code === undefined ? "NETWORK_EXCEPTION" : errorText(code);
    if (error === "NONE" || error === "UNKNOWN_TOPIC_OR_PARTITION") return;
    if (!retriableErrors.has(error)) return world.violated(`deleting ${topic} answered ${error}`);
    await client.pause(100);
  }
}

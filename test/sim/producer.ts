/** A producer of the simulated broker. */
import { uuidZero } from "../../src/base/ids.ts";
import { buildBatch } from "../../src/protocol/records.ts";
import { type ActorWorld, errorText, nameOf, retriableErrors, type TopicPartition } from "./actor.ts";
import type { Client } from "./client.ts";
import type { Send } from "./history.ts";
import { jsonTopic, plainTopic } from "./node.ts";
import type { SimRandom } from "./random.ts";
import { recordOf } from "./record.ts";

const produceVersion = 12; // The newest that names topics by name.

interface Batch {
  readonly send: Send;
  readonly bytes: Uint8Array;
}

/**
 * An idempotent producer as Kafka's clients are: up to `windowMax` batches on their way to a partition, and whatever is not
 * known to be appended is sent again, in order, under its old sequence.
 */
export async function produce(world: ActorWorld, client: Client, partitions: readonly TopicPartition[]): Promise<void> {
  const { random } = client;
  const sizeMax = random.pick(valueBytesMax);
  let producerId = await newProducerId(world, client);
  let sequences = new Map<string, number>();
  let sent = 0;
  while (world.isBusy()) {
    if (random.chance(0.02)) {
      producerId = await newProducerId(world, client); // As if it had been started again.
      sequences = new Map();
    }
    const target = random.pick(partitions);
    const window = Array.from({ length: 1 + random.below(windowMax) }, () => {
      const values = Array.from({ length: 1 + random.below(4) }, () => {
        sent += 1;
        return valueFor(target.topic, `${client.id}.${sent}.${"x".repeat(random.below(sizeMax))}`, random);
      });
      const baseSequence = sequences.get(nameOf(target)) ?? 0;
      sequences.set(nameOf(target), baseSequence + values.length);
      return newBatch(world, client, { target, values, producerId, baseSequence });
    });
    await deliver(world, client, target, window);
    await client.pause(random.pick([5, 50, 400]));
  }
}

const windowMax = 4;
/** One of them for each producer. The largest make groups, blocks and segments of their own. */
const valueBytesMax = [300, 300, 300, 3_000, 15_000];

/**
 * What becomes a row of the JSON topic's table has a column more now and then; what is no JSON becomes a dead letter. Records of
 * the other topics have one of few keys, so that they replace each other where the topic is compacted.
 */
function valueFor(topic: string, unique: string, random: SimRandom): string {
  if (topic !== jsonTopic) {
    const gone = topic === plainTopic && random.chance(0.2) ? "gone." : "";
    return `k${random.below(random.pick([3, 40]))}.${gone}${unique}`;
  }
  if (random.chance(0.1)) return `{ ${unique}`;
  return JSON.stringify({ v: unique, ...(random.chance(0.3) ? { [`f${random.below(20)}`]: random.below(1000) } : {}) });
}

async function newProducerId(world: ActorWorld, client: Client): Promise<number> {
  for (;;) {
    const request = { transactionalId: null, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 };
    const reply = await client.send("initProducerId", request, 5);
    if (reply.kind === "answer" && reply.body.errorCode === 0) return Number(reply.body.producerId);
    if (!world.isBusy()) await client.pause(100);
  }
}

function newBatch(
  world: ActorWorld,
  client: Client,
  batch: {
    readonly target: TopicPartition;
    readonly values: readonly string[];
    readonly producerId: number;
    readonly baseSequence: number;
  },
): Batch {
  const { target, values, producerId, baseSequence } = batch;
  const send: Send = {
    producer: client.id,
    partition: nameOf(target),
    values,
    outcome: "unknown",
    offset: -1,
    begun: world.history.tick(),
    ended: Number.POSITIVE_INFINITY,
  };
  world.history.sends.push(send);
  const bytes = buildBatch({
    records: values.map((value) => recordOf(value, world.now())),
    compression: client.random.pick(["none", "none", "gzip", "zstd"]),
    producerId,
    producerEpoch: 0,
    baseSequence,
  });
  return { send, bytes };
}

/** Until every batch is acked. Only what the broker cannot do for now is an excuse; anything else is a broken promise. */
async function deliver(
  world: ActorWorld,
  client: Client,
  { topic, index }: TopicPartition,
  window: readonly Batch[],
): Promise<void> {
  for (let open = window; open.length > 0; ) {
    const replies = await client.pipeline<"produce">(
      open.map(({ bytes }) => {
        const topicData = [{ name: topic, topicId: uuidZero, partitionData: [{ index, records: bytes }] }];
        return ["produce", { transactionalId: null, acks: -1, timeoutMs: 3000, topicData }, produceVersion];
      }),
    );
    let isBehind = false; // Those after one that failed may be out of order; the first may not.
    for (const [at, reply] of replies.entries()) {
      const { send } = open[at] as Batch;
      const answer = reply.kind === "answer" ? reply.body.responses[0]?.partitionResponses[0] : undefined;
      const error = answer === undefined ? "NETWORK_EXCEPTION" : errorText(answer.errorCode);
      if (error === "NONE") {
        send.outcome = "acked";
        send.offset = Number(answer?.baseOffset);
        send.ended = world.history.tick();
      } else {
        const isExcused = retriableErrors.has(error) || (isBehind && error === "OUT_OF_ORDER_SEQUENCE_NUMBER");
        if (!isExcused) {
          world.violated(`produce to ${topic}-${index} answered ${error}: ${answer?.errorMessage ?? ""}`);
          return;
        }
        isBehind = true;
      }
    }
    open = open.filter(({ send }) => send.outcome !== "acked");
    if (open.length > 0) await client.pause(100);
  }
}

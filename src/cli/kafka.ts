/** A Kafka client for the commands, loaded when one of them needs it. */
import type { Admin, Kafka } from "kafkajs";
import { accessOf } from "./broker-access.ts";
import type { Context } from "./context.ts";
import { worded } from "./kafka-failures.ts";
import { CommandFailed, exitCodes } from "./output.ts";

type KafkaContext = Pick<Context, "brokers" | "access">;

/** Runs `work` with a connected admin client, and says what went wrong as Kafka names it. */
export async function withAdmin<T>(context: KafkaContext, work: (admin: Admin) => Promise<T>): Promise<T> {
  return await withKafka(context, async (kafka) => {
    const admin = kafka.admin();
    try {
      await admin.connect();
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  });
}

export async function withKafka<T>(context: KafkaContext, work: (kafka: Kafka) => Promise<T>): Promise<T> {
  const { Kafka: Client, logLevel } = (await import("kafkajs")).default;
  const kafka = new Client({
    ...accessOf(context.access),
    clientId: "inlet-cli",
    brokers: [...addressesOf(context.brokers)],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 3000,
    retry: { retries: 2, initialRetryTime: 200 },
  });
  try {
    return await work(kafka);
  } catch (cause) {
    throw worded(cause, context);
  }
}

function addressesOf(brokers: string): readonly string[] {
  const addresses = brokers.split(",").map((each) => each.trim());
  const wrong = addresses.find((each) => {
    const port = Number(/^[^\s:]+:(\d{1,5})$/.exec(each)?.[1]);
    return !(port >= 1 && port <= 65_535);
  });
  if (wrong === undefined) return addresses;
  throw new CommandFailed(`--brokers: "${wrong}" is not host:port, such as 127.0.0.1:9092`, exitCodes.usage);
}

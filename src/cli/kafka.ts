/** A Kafka client for the commands, loaded when one of them needs it. */
import type { Admin, Kafka } from "kafkajs";
import { CommandFailed, exitCodes } from "./output.ts";

/** Runs `work` with a connected admin client, and says what went wrong as Kafka names it. */
export async function withAdmin<T>(brokers: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  return await withKafka(brokers, async (kafka) => {
    const admin = kafka.admin();
    await admin.connect();
    try {
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  });
}

export async function withKafka<T>(brokers: string, work: (kafka: Kafka) => Promise<T>): Promise<T> {
  const { Kafka: Client, logLevel } = (await import("kafkajs")).default;
  const kafka = new Client({
    clientId: "inlet-cli",
    brokers: [...addressesOf(brokers)],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 3000,
    retry: { retries: 2, initialRetryTime: 200 },
  });
  try {
    return await work(kafka);
  } catch (cause) {
    throw worded(cause, brokers);
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

function worded(cause: unknown, brokers: string): unknown {
  if (!(cause instanceof Error) || !cause.name.startsWith("KafkaJS")) return cause;
  const error = deepest(cause);
  const { type } = error as { readonly type?: string };
  if (error.name === "KafkaJSConnectionError" || error.name === "KafkaJSBrokerNotFound")
    return new CommandFailed(`no broker answers at ${brokers}: ${error.message}`, exitCodes.unreachable, { cause });
  const isMissing = type === "UNKNOWN_TOPIC_OR_PARTITION" || type === "GROUP_ID_NOT_FOUND";
  const code = isMissing ? exitCodes.missing : exitCodes.failed;
  return new CommandFailed(type === undefined ? error.message : `${type}: ${error.message}`, code, { cause });
}

/** The retrier and the admin client wrap what the broker said. */
function deepest(error: Error): Error {
  const { cause, errors } = error as { readonly cause?: unknown; readonly errors?: readonly unknown[] };
  const inner = cause ?? errors?.[0];
  return inner instanceof Error && inner !== error ? deepest(inner) : error;
}

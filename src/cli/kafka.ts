/** A Kafka client for the commands, loaded when one of them needs it. */
import type { Admin, Kafka } from "kafkajs";
import { accessOf } from "./broker-access.ts";
import type { Context } from "./context.ts";
import { codeOf, type Refusal, refusalOf, worded } from "./kafka-failures.ts";
import { CommandFailed, exitCodes, printRows } from "./output.ts";

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

/**
 * Does `work` for one name after the other, prints what became of each, and fails if any did: of several that are asked
 * for at once the client tells no more than that not all went well.
 */
export async function oneByOne(
  context: KafkaContext & Pick<Context, "terminal" | "format">,
  noun: "topic" | "group",
  names: readonly string[],
  work: (admin: Admin, name: string) => Promise<Refusal | undefined>,
): Promise<void> {
  const outcomes = await withAdmin(context, async (admin) => {
    const outcomes: { readonly name: string; readonly refusal: Refusal | undefined }[] = [];
    for (const name of names) outcomes.push({ name, refusal: await work(admin, name).catch(refusalOrThrow) });
    return outcomes;
  });
  const rows = outcomes.map(({ name, refusal }) => ({ [noun]: name, status: refusal?.type ?? "OK" }));
  printRows(context.terminal, context.format, [noun, "status"], rows);
  const refused = outcomes.flatMap(({ name, refusal }) => (refusal === undefined ? [] : [{ name, ...refusal }]));
  if (refused.length === 0) return;
  const codes = new Set(refused.map(({ type }) => codeOf(type)));
  const [code = exitCodes.failed] = codes.size === 1 ? codes : [];
  throw new CommandFailed(refused.map(({ type, name, message }) => `${type}: ${name}: ${message}`).join("; "), code);
}

function refusalOrThrow(cause: unknown): Refusal {
  const refusal = refusalOf(cause);
  if (refusal === undefined) throw cause;
  return refusal;
}

export async function withKafka<T>(context: KafkaContext, work: (kafka: Kafka) => Promise<T>): Promise<T> {
  const { Kafka: Client, logLevel } = (await import("kafkajs")).default;
  const brokers = addressesOf(context.brokers);
  const kafka = new Client({
    ...accessOf(context.access),
    clientId: "inlet-cli",
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 3000,
    // Another address each time.
    retry: { retries: Math.max(2, brokers.length - 1), initialRetryTime: 200 },
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

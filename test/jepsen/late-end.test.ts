/**
 * Proves: an end that arrives when its producer is in the next transaction already (KAFKA-17754) decides nothing under the newest
 * protocol; and the checker finds what it does under the one before, which cannot tell the two apart.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Broker, openBroker } from "../../src/broker.ts";
import { configOf, inProcess } from "../support/config.ts";
import { judge } from "./checker.ts";
import { Connection } from "./connection.ts";
import type { Operation, Outcome } from "./history.ts";
import { Link } from "./network.ts";
import { type Ended, Producer } from "./producer.ts";
import { Ticks } from "./ticks.ts";
import { wholeKey } from "./workloads.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-late-end-"));
let broker: Broker;
beforeAll(async () => {
  broker = await openBroker(configOf("", inProcess(directory)));
}, 30_000);
afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

test.each([
  [1, ["G1a"]],
  [2, []],
] as const)(
  "under version %i of transactions it does: %j",
  { timeout: 60_000 },
  async (transactionVersion, anomalies) => {
    const topic = `late-end-${transactionVersion}`;
    const port = Number(broker.addresses.kafka.split(":").at(-1));
    await using aside = new Connection(port);
    const topics = [{ name: topic, numPartitions: 1, replicationFactor: -1, assignments: [], configs: [] }];
    await aside.call("createTopics", 7, { topics, timeoutMs: 10_000, validateOnly: false });
    await aside.call("findCoordinator", 4, { keyType: 1, coordinatorKeys: ["any"] });
    await using link = await Link.open(port);
    await using connection = new Connection(link.port);
    const producer = new Producer({ connection, topic, transactionalId: topic, transactionVersion });
    expect(await producer.init()).toBe(true);
    const ticks = new Ticks();
    const history: Operation[] = [];
    const transaction = async (value: string, end: () => Promise<Ended>, wantsCommit: boolean): Promise<void> => {
      const begun = ticks.next();
      const [sent] = await producer.send([{ key: 0, values: [value] }]);
      const offset = sent?.kind === "appended" ? sent.offset : undefined;
      const step = { kind: "send", key: 0, values: [value], offset, begun, ended: ticks.next() } as const;
      const ended = await end();
      const outcome: Outcome = wantsCommit && ended.kind === "done" ? "ok" : "fail";
      history.push({ process: 1, kind: "txn", outcome, steps: [step] });
    };
    const committing = async (): Promise<Ended> => {
      link.strike("requests-late"); // The end is held; the client gives up, connects anew, and is answered there.
      return await producer.end(true);
    };
    const aborting = async (): Promise<Ended> => {
      link.heal(); // Now the first end arrives, in the middle of the second transaction.
      // As many answers by another way as give it time to.
      for (let turn = 0; turn < 20; turn += 1) {
        await aside.call("describeTransactions", 0, { transactionalIds: [topic] });
      }
      return await producer.end(false);
    };
    await transaction("committed", committing, true);
    await transaction("aborted", aborting, false);
    await expect
      .poll(
        async () => {
          const [poll] = await wholeKey({ topic, ticks }, aside, 0);
          const isStable = poll !== undefined && poll.lastStable === poll.highWatermark;
          if (isStable) history.push({ process: 0, kind: "final", outcome: "ok", steps: [poll] });
          return isStable;
        },
        { timeout: 20_000 },
      )
      .toBe(true);
    expect(history[0]?.outcome).toBe("ok");
    expect(judge(history).violations.map(({ anomaly }) => anomaly)).toEqual(anomalies);
  },
);

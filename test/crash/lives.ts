/**
 * One broker's data through many hard ends, under idempotent load that never stops, then one full read by a sound broker:
 * no record that was acked is lost or doubled, and each producer's order holds. What ends a life is the caller's.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Kafka, logLevel } from "kafkajs";
import { quickStart, startInlet } from "../support/inlet-process.ts";
import { checkout, freePort } from "../support/processes.ts";
import { check, connectProducers, load, partitions, readAll, topic } from "./kill-cycles.ts";

export interface LivesReport {
  readonly acked: number;
  readonly read: number;
  /** Empty when the promise held. */
  readonly violations: readonly string[];
}

/** Starts the broker as `inlet start` does, below the command given, without waiting until it serves. */
export type StartLife = (below: readonly string[], environment?: Readonly<Record<string, string>>) => ChildProcess;

export interface Acks {
  /** Resolves with the next ack, or after the time. */
  within(ms: number): Promise<void>;
}

export async function runLives(options: {
  readonly seed: number;
  /** Where the data live; beside the configuration by default. */
  readonly dataDirectory?: string;
  /** All lives but the first and the last. Each must have ended, and the data be there again, when it resolves. */
  readonly lives: (start: StartLife, acks: Acks) => Promise<void>;
}): Promise<LivesReport> {
  const directory = mkdtempSync(join(tmpdir(), "inlet-lives-"));
  const config = {
    stream: { upload: { interval: { ms: { max: 500 } } } },
    wal: { bytes: { max: "64MiB" }, segment: { bytes: "16MiB" } },
    ...(options.dataDirectory === undefined ? {} : { data: { directory: options.dataDirectory } }),
  };
  const kafkaPort = await freePort();
  const startWhole = () => startInlet({ directory, kafkaPort, config, name: "lives" });
  let broker = await startWhole();
  const retry = { retries: 100_000, initialRetryTime: 50, maxRetryTime: 250 };
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING, retry, connectionTimeout: 1000 });
  try {
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] });
    await admin.disconnect();
    const stop = new AbortController();
    const refused: string[] = [];
    const acked = new EventEmitter();
    const acks: Acks = {
      within: (ms) => once(acked, "ack", { signal: AbortSignal.timeout(ms) }).then(noted, noted), // Only the timeout rejects.
    };
    const loads = (await connectProducers(kafka)).map((producer, index) =>
      load(producer, index, stop.signal, () => acked.emit("ack")).catch((cause: unknown): readonly string[] => {
        refused.push(`producer ${index} cannot go on: ${String(cause)}`); // A lost batch shows as a gap in its sequences.
        return [];
      }),
    );
    await broker[Symbol.asyncDispose]();
    const command = [process.execPath, join(checkout, "bin/inlet"), "start", "-c", join(directory, "inlet.yaml")];
    await options.lives((below, environment) => {
      const [file, ...args] = [...below, ...command] as [string, ...string[]];
      return spawn(file, args, {
        stdio: "ignore",
        detached: true,
        env: { ...process.env, ...quickStart, ...environment },
      });
    }, acks);
    broker = await startWhole();
    stop.abort();
    const sent = await Promise.all(loads);
    const read = await readAll(kafka, options.seed);
    const count = (all: readonly (readonly string[])[]): number => all.reduce((sum, one) => sum + one.length, 0);
    return { acked: count(sent), read: count(read), violations: [...refused, ...check(sent, read)] };
  } finally {
    await broker[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  }
}

const noted = (): undefined => undefined;

/** The life's whole process group is gone when this resolves: a broker below another command may outlive that by a moment. */
export async function killLife(life: ChildProcess): Promise<void> {
  const group = -(life.pid as number);
  if (life.exitCode === null && life.signalCode === null) {
    const exit = once(life, "exit");
    process.kill(group, "SIGKILL");
    await exit;
  }
  for (const deadline = performance.now() + goneMsMax; isThere(group); await setTimeout(10))
    if (performance.now() > deadline) throw new Error(`process group ${group} is still there after ${goneMsMax} ms`);
}

const goneMsMax = 30_000;

function isThere(group: number): boolean {
  try {
    process.kill(group, 0);
    return true;
  } catch {
    return false;
  }
}

/** Whether it ends by itself within the time. */
export async function endsWithin(life: ChildProcess, ms: number): Promise<boolean> {
  if (life.exitCode !== null || life.signalCode !== null) return true;
  const timeout = AbortSignal.timeout(ms);
  return await once(life, "exit", { signal: timeout }).then(
    () => true,
    () => false, // Only the timeout rejects.
  );
}

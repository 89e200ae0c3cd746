/** What goes wrong during a run, one thing after the other, with quiet between: a quarter of the turns are quiet altogether. */
import { once } from "node:events";
import type { Random } from "../../src/base/runtime.ts";
import type { InletBroker } from "../support/inlet-process.ts";
import { requestMsMax } from "./connection.ts";
import { type Link, linkFaults } from "./network.ts";
import { pause } from "./pause.ts";

export interface Victims {
  broker: InletBroker;
  /** One a client. */
  readonly links: readonly Link[];
  readonly restart: () => Promise<InletBroker>;
  readonly log: (line: string) => void;
}

/** Returns how often each fault struck, when it is not busy any more; everything is healed then. */
export async function torment(
  victims: Victims,
  random: Random,
  isBusy: () => boolean,
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  await pause(quietMs(random));
  while (isBusy()) {
    const turn = turns[Math.floor(random.unit() * turns.length)] as Turn;
    const name = await turn(victims, random);
    counts[name] = (counts[name] ?? 0) + 1;
    await pause(quietMs(random));
  }
  return counts;
}

type Turn = (victims: Victims, random: Random) => Promise<string>;

const turns: readonly Turn[] = [kill, kill, stop, stop, cut, cut, cut, quiet];

function quietMs(random: Random): number {
  return 300 + random.unit() * 1_500;
}

async function kill(victims: Victims): Promise<string> {
  const { child } = victims.broker.running;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
  await victims.broker[Symbol.asyncDispose]();
  victims.broker = await victims.restart();
  victims.log("killed the broker and started it again");
  return "kill";
}

/** As long as a long collection of garbage, or until every client has given up. */
async function stop({ broker, log }: Victims, random: Random): Promise<string> {
  const ms = random.unit() < 0.5 ? 200 + random.unit() * 800 : 2_000 + random.unit() * 4_000;
  broker.running.child.kill("SIGSTOP");
  await pause(ms);
  broker.running.child.kill("SIGCONT");
  log(`stopped the broker's process for ${Math.round(ms)} ms`);
  return "pause";
}

async function cut({ links, log }: Victims, random: Random): Promise<string> {
  const fault = linkFaults[Math.floor(random.unit() * linkFaults.length)] as (typeof linkFaults)[number];
  const isForAll = random.unit() < 0.3;
  const cutLinks = links.filter(() => isForAll || random.unit() < 0.5);
  // What is late must be later than the client's patience.
  const ms = (fault === "requests-late" ? requestMsMax : 500) + random.unit() * 3_500;
  for (const link of cutLinks) link.strike(fault);
  await pause(ms);
  for (const link of cutLinks) link.heal();
  log(`${fault} for ${cutLinks.length} of ${links.length} clients for ${Math.round(ms)} ms`);
  return fault;
}

async function quiet(): Promise<string> {
  await pause(2_000);
  return "quiet";
}

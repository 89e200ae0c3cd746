/**
 * Proves at start that a store keeps the promises that no data survives without: put-if-absent that is obeyed, also when
 * many ask at once, and reads and listings that see what was written. Stores, and gateways in front of stores, have ignored
 * the condition silently; two nodes then own one name, each believing that it is alone.
 */
import { uuidRandom } from "../base/ids.ts";
import type { Random } from "../base/runtime.ts";
import { type ObjectStore, StoreFailed } from "./object-store.ts";

/** Rounds of rivals for one name. A store that checks and then writes, without a lock, lets a second one through in most rounds. */
const rounds = 4;
const rivals = 8;

const folder = "meta/probe/";

/** Throws StoreFailed with what the store does wrong, or why it cannot be used. Leaves nothing behind. */
export async function requireConditionalWrites(store: ObjectStore, random: Random): Promise<void> {
  try {
    await requireAccess(store);
    await probe(store, random);
  } catch (cause) {
    if (!(cause instanceof StoreFailed) || cause instanceof Unfit) throw cause;
    const { message, happened, retriable } = cause;
    const text = `${store.url} cannot be used: ${message}. Look at the bucket, the endpoint and the keys of this URL in the settings`;
    throw new StoreFailed(text, { happened, retriable, cause });
  }
}

/** By a listing: it needs the bucket and the keys, and is refused with a reason, which an answer to HEAD has no room for. */
async function requireAccess(store: ObjectStore): Promise<void> {
  for await (const _ of store.list(folder)) return;
}

async function probe(store: ObjectStore, random: Random): Promise<void> {
  const prefix = `${folder}${uuidRandom(random)}/`;
  const keys = [`${prefix}first`, ...Array.from({ length: rounds }, (_, round) => `${prefix}round-${round}`)];
  try {
    await probeOne(store, `${prefix}first`);
    await Promise.all(keys.slice(1).map((key) => probeRivals(store, key)));
    const listed = new Set<string>();
    for await (const { key } of store.list(prefix)) listed.add(key);
    if (keys.some((key) => !listed.has(key))) throw unfit(store, "does not list what was just written");
  } catch (cause) {
    await store.delete(keys).catch(() => undefined); // The first failure says more.
    throw cause;
  }
  await store.delete(keys);
}

async function probeOne(store: ObjectStore, key: string): Promise<void> {
  const [mine, other] = [bodyOf("mine"), bodyOf("other")];
  if ((await store.head(key)) !== undefined) throw unfit(store, "shows an object that nobody wrote");
  if ((await store.putIfAbsent(key, mine)).kind !== "created") throw unfit(store, "refuses a new name as taken");
  await requireBody(store, key, mine);
  if ((await store.putIfAbsent(key, other)).kind !== "exists")
    throw unfit(store, 'ignores the condition "If-None-Match: *" and replaces an object that is there');
  await requireBody(store, key, mine);
}

async function probeRivals(store: ObjectStore, key: string): Promise<void> {
  const bodies = Array.from({ length: rivals }, (_, rival) => bodyOf(`rival ${rival}`));
  const outcomes = await Promise.all(bodies.map((body) => store.putIfAbsent(key, body)));
  const winners = bodies.filter((_, rival) => outcomes[rival]?.kind === "created");
  if (winners.length !== 1)
    throw unfit(store, `tells ${winners.length} of ${rivals} rivals that each alone made an object`);
  await requireBody(store, key, winners[0] as Uint8Array);
}

async function requireBody(store: ObjectStore, key: string, expected: Uint8Array): Promise<void> {
  const found = await store.get(key);
  if (Buffer.compare(found, expected) !== 0) throw unfit(store, "gives back other bytes than it said it had taken");
}

function bodyOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** It answers, and breaks its word. */
class Unfit extends StoreFailed {}

function unfit(store: ObjectStore, what: string): StoreFailed {
  const message = `${store.url} cannot hold a cluster: it ${what}. Records would be lost. Use a store, or a version of it, that honours conditional writes`;
  return new Unfit(message, { happened: "no", retriable: false });
}

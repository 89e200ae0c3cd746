/** Copies of what a store holds for the metadata, to put it back to that. */
import type { ObjectStore } from "../../../src/object-store/object-store.ts";

export async function keysIn(store: ObjectStore, prefix: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

/** Takes the objects as they are; what it returns makes them so again. */
export async function backUpObjects(store: ObjectStore): Promise<() => Promise<void>> {
  const copy = new Map<string, Uint8Array>();
  for (const key of await keysIn(store, "meta/")) copy.set(key, await store.get(key));
  return async () => {
    await store.delete(await keysIn(store, "meta/"));
    for (const [key, bytes] of copy) await store.put(key, bytes);
  };
}

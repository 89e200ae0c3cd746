/** Proves: objects in memory obey the object store contract. */
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { SimClock } from "../sim/clock.ts";
import { objectStoreContract } from "./contract.ts";

objectStoreContract("memory", async () => {
  const store = new MemoryObjectStore({ clock: new SimClock() });
  return { store, run: (work) => work, dispose: () => store[Symbol.asyncDispose]() };
});

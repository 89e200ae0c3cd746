/** What goes wrong in a simulated world. */
import { calmRoutes, type RouteFaults } from "../support/routes-fetch.ts";
import { calmDisk, type DiskFaults } from "./disk.ts";
import { calmStore, type StoreFaults } from "./object-store.ts";
import type { SimRandom } from "./random.ts";

export interface Faults {
  readonly store: StoreFaults;
  readonly routes: RouteFaults;
  readonly disk: DiskFaults;
}

/** A write that was given up lands within this time. */
export const ghostMsMax = 6_000;

export const calm: Faults = { store: calmStore, routes: calmRoutes, disk: calmDisk };

/** What a world's nemesis likes to do: each world another mix, so that no fault hides behind another one. */
export interface Appetite {
  readonly actions: readonly ("power" | "kill" | "stop" | "storm" | "bad-disk" | "calm")[];
  readonly quietMsMax: number;
  readonly isSkewed: boolean;
  /** Whether retention keeps little. */
  readonly retains: boolean;
  /** Where the broker's WAL lies. */
  readonly wal: "file" | "object" | "replicated";
  /** Whether some of the topics are compacted. */
  readonly compacts: boolean;
}

export function appetite(random: SimRandom): Appetite {
  const all = ["power", "power", "kill", "stop", "storm", "storm", "bad-disk"] as const;
  const chosen = all.filter(() => random.chance(0.6));
  return {
    actions: [...chosen, "calm", ...(chosen.length === 0 ? (["power"] as const) : [])],
    quietMsMax: random.pick([800, 2_000, 5_000]),
    isSkewed: random.chance(0.3),
    retains: random.chance(0.4),
    wal: random.pick(["file", "object", "replicated"]),
    compacts: random.chance(0.5),
  };
}

export function storm(random: SimRandom): Pick<Faults, "store" | "routes"> {
  const some = (most: number): number => (random.chance(0.5) ? random.between(0, most) : 0);
  return {
    store: {
      ...calmStore,
      ghostMsMax,
      refused: some(0.3),
      lost: some(0.2),
      unheard: some(0.2),
      ghost: some(0.1),
      twice: some(0.1),
      stalled: some(0.02),
      partial: some(0.2),
      garbled: some(0.1),
      slow: some(0.1),
      delayMsMax: random.pick([5, 50, 500]),
    },
    routes: { lost: some(0.2), unheard: some(0.2) },
  };
}

export function badDisk(random: SimRandom): DiskFaults {
  return {
    delayMsMax: random.pick([1, 20, 100]),
    datasyncFails: random.pick([0, 0.01, 0.1]),
    writeFails: random.pick([0, 0, 0.02]),
  };
}

/** Draws for generators, from one seed. */
import type { Random } from "../../src/base/runtime.ts";
import { type ApiName, apis } from "../../src/protocol/api-table.ts";
import { seededRandom } from "../../test/support/seeded.ts";
import { fresh, freshChars } from "./step.ts";

/** One version of one API. */
export interface Asked {
  readonly api: ApiName;
  readonly version: number;
}

export class Draw {
  readonly #random: Random;
  readonly #asked: Asked | undefined;

  /** Where an API is to be drawn in one version, it has no other. */
  constructor(seed: number, asked?: Asked) {
    this.#random = seededRandom(seed);
    this.#asked = asked;
  }

  int(below: number): number {
    return Math.floor(this.#random.unit() * below);
  }

  chance(probability: number): boolean {
    return this.#random.unit() < probability;
  }

  of<const T>(values: readonly T[]): T {
    return values[this.int(values.length)] as T;
  }

  /** Mostly `usual`, so that states are reached; else one of the rare ones. */
  mostly<const T, const R>(usual: T, rare: readonly R[], probability = 0.15): T | R {
    return this.chance(probability) ? this.of(rare) : usual;
  }

  /** None to `max` of them; the same may come twice. */
  some<T>(max: number, make: () => T, min = 0): readonly T[] {
    return Array.from({ length: min + this.int(max - min + 1) }, make);
  }

  /** The same, but none twice: of some APIs Kafka answers repeated entries once, by chance of its maps. */
  distinct<T>(max: number, make: () => T, keyOf: (value: T) => unknown, min = 0): readonly T[] {
    return [...new Map(this.some(max, make, min).map((value) => [keyOf(value), value])).values()];
  }

  /** The lowest, the highest, or one between. */
  version(api: ApiName): number {
    if (this.#asked?.api === api) return this.#asked.version;
    const [min, max] = apis[api].request.versions;
    if (this.chance(0.3)) return max;
    return min + this.int(max - min + 1);
  }

  topic(): string {
    return this.mostly(this.of([`${fresh}a`, `${fresh}b`]), oddTopics, 0.12);
  }

  /** Not an internal one: what is in those is everybody's. */
  ownTopic(): string {
    const name = this.topic();
    return name.startsWith("__") ? `${fresh}a` : name;
  }

  partition(): number {
    return this.mostly(this.int(2), [2, 7, -1, 0x7fff_ffff], 0.08);
  }

  group(): string {
    return this.mostly(this.of([`${fresh}g`, `${fresh}g`, `${fresh}h`]), [`${fresh}unknown`, ""], 0.06);
  }

  member(): string {
    return this.of(["m0", "m1"]);
  }
}

const oddTopics = [
  `${fresh}c`,
  `${fresh}unknown`,
  "",
  ".",
  "..",
  `${fresh}sp ace`,
  `${fresh}ü`,
  `${fresh}${"x".repeat(249 - freshChars)}`,
  `${fresh}${"x".repeat(250 - freshChars)}`,
  `${fresh}a.b`,
  `${fresh}a_b`,
  "__consumer_offsets",
];

/** Changes to the image that can be taken back until the group of events is accepted. */
import type { MutableMap } from "./sharded-map.ts";

export class Undo {
  readonly #steps: (() => void)[] = [];
  readonly #accepted: (() => void)[] = [];

  set<Key, Value>(map: MutableMap<Key, Value>, key: Key, value: Value): void {
    this.#remember(map, key);
    map.set(key, value);
  }

  delete<Key, Value>(map: MutableMap<Key, Value>, key: Key): void {
    this.#remember(map, key);
    map.delete(key);
  }

  assign<Target extends object>(target: Target, change: Partial<Target>): void {
    const before: Partial<Target> = {};
    for (const name of Object.keys(change) as (keyof Target)[]) before[name] = target[name];
    this.#steps.push(() => Object.assign(target, before));
    Object.assign(target, change);
  }

  /** For what the caller changes itself. */
  step(takeBack: () => void): void {
    this.#steps.push(takeBack);
  }

  /** For what nobody needs any more once nothing can be taken back. */
  whenAccepted(step: () => void): void {
    this.#accepted.push(step);
  }

  accept(): void {
    this.#steps.length = 0;
    for (const step of this.#accepted.splice(0)) step();
  }

  /** Everything is as it was. */
  rollBack(): void {
    this.#accepted.length = 0;
    for (const step of this.#steps.splice(0).reverse()) step();
  }

  #remember<Key, Value>(map: MutableMap<Key, Value>, key: Key): void {
    if (map.has(key)) {
      const before = map.get(key) as Value;
      this.#steps.push(() => map.set(key, before));
    } else this.#steps.push(() => map.delete(key));
  }
}

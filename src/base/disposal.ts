/** Something to do when a scope ends. */

/** A class, since V8 defines a computed key of a literal anew each time, by the slow way: a microsecond where requests count them. */
export class Disposal implements Disposable {
  readonly #dispose: () => void;

  constructor(dispose: () => void) {
    this.#dispose = dispose;
  }

  [Symbol.dispose](): void {
    this.#dispose();
  }
}

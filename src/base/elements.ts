/** The elements of a list that is written to a client. They may be made one by one meanwhile, so that a long list is never whole in memory. */
export interface Elements<T> extends Iterable<T> {
  /** Of what iterating gives. */
  readonly length: number;
}

export type ElementOf<E> = E extends Elements<infer T> ? T : never;

/** Each element is made when its turn to be written comes: `make` asks then what is true then. */
export function madeFrom<From, T>(from: Elements<From>, make: (from: From) => T): Elements<T> {
  const iterate = function* (): Generator<T> {
    for (const each of from) yield make(each);
  };
  return { length: from.length, [Symbol.iterator]: iterate };
}

export function joinedElements<T>(first: Elements<T>, second: Elements<T>): Elements<T> {
  const iterate = function* (): Generator<T> {
    yield* first;
    yield* second;
  };
  return { length: first.length + second.length, [Symbol.iterator]: iterate };
}

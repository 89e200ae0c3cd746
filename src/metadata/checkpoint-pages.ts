/** The parts of a checkpoint's image: each a count and that many items, written in pages and read one by one. */
import type { ByteReader } from "../base/bytes.ts";
import { ByteWriter } from "../base/bytes.ts";
import type { Message } from "../base/codec.ts";
import { type Entries, sortedSteps } from "./sorted-steps.ts";

const version = 0;
const pageBytes = 64 * 1024;

/** The entries of a map, sorted by key. */
export function* section<T, I, Key extends number | string | null, Value>(
  schema: Message<T, I>,
  map: Entries<Key, Value>,
  toWire: (value: Value, key: Key) => I = (value) => value as unknown as I,
): Generator<readonly Uint8Array[]> {
  const entries = yield* withoutBytes(sortedSteps(map));
  function* wires(): Generator<I> {
    for (const [key, value] of entries) yield toWire(value, key);
  }
  yield* pages(schema, map.size, wires());
}

export function* pages<T, I>(
  schema: Message<T, I>,
  count: number,
  wires: Iterable<I>,
): Generator<readonly Uint8Array[]> {
  let page = new ByteWriter();
  page.uint32(count);
  for (const wire of wires) {
    schema.write(page, version, wire);
    if (page.length < pageBytes) continue;
    yield page.finish();
    page = new ByteWriter();
  }
  yield page.finish();
}

/** Steps that give no bytes. */
function* withoutBytes<T>(steps: Generator<undefined, T>): Generator<readonly Uint8Array[], T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    yield [];
  }
}

/** The iterable is to be read to its end before anything else is read. */
export function items<T, I>(
  reader: ByteReader,
  schema: Message<T, I>,
): { readonly count: number; readonly each: Iterable<T> } {
  const count = reader.uint32();
  reader.admit(count, 1);
  function* each(): Generator<T> {
    for (let index = 0; index < count; index++) yield schema.read(reader, version);
  }
  return { count, each: each() };
}

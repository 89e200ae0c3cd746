/**
 * The objects that the cluster has, a row each, in the order in which they were committed.
 *
 *   row    key (text-arena.ts) | bytes | kind | node | committed at | live: ranges of streams in it | before, after: rows
 *
 * A row is given to another object once its own has been freed; so only what names the object by `live` may keep it.
 */
import { objectKinds } from "../../schemas/storage.ts";
import type { NodeId, Seq } from "../base/ids.ts";
import { Column, RowNumbers } from "./column.ts";
import type { ObjectEntry, ObjectRows } from "./image.ts";
import { RowIndex } from "./row-index.ts";
import { TextArena } from "./text-arena.ts";

export class ObjectTable implements ObjectRows {
  readonly #keys = new TextArena();
  readonly #byKey = new RowIndex();
  readonly #key = new Column(Uint32Array);
  readonly #bytes = new Column(Float64Array);
  readonly #kind = new Column(Uint8Array);
  readonly #node = new Column(Int32Array);
  readonly #committedAt = new Column(Float64Array);
  readonly #live = new Column(Uint32Array);
  /** A ring: row 0, which is nobody's, stands before the first and after the last. */
  readonly #before = new Column(Uint32Array);
  readonly #after = new Column(Uint32Array);
  readonly #numbers = new RowNumbers(this.#after);

  get size(): number {
    return this.#byKey.size;
  }

  /** After the highest row. */
  get end(): number {
    return this.#numbers.end;
  }

  /** Before the first is added. */
  reserve(objects: number): void {
    this.#byKey.reserve(objects);
  }

  /** 0 when there is none of this key. */
  find(key: string): number {
    let row = this.#byKey.first(hashOf(key));
    while (row !== 0 && this.key(row) !== key) row = this.#byKey.after(row);
    return row;
  }

  /** The caller has seen that the key is new. No stream holds a range in it yet. */
  add({ key, bytes, kind, node, committedAt }: ObjectEntry): number {
    const row = this.#numbers.take();
    this.#key.set(row, this.#keys.put(key));
    this.#bytes.set(row, bytes);
    this.#kind.set(row, objectKinds.indexOf(kind));
    this.#node.set(row, node);
    this.#committedAt.set(row, committedAt);
    this.#live.set(row, 0);
    this.#before.set(row, this.#before.get(0));
    this.#after.set(row, 0);
    this.#join(row);
    this.#byKey.add(row, hashOf(key));
    return row;
  }

  /** Takes the object out; its row can be put back until it is freed. */
  remove(row: number): void {
    this.#after.set(this.#before.get(row), this.#after.get(row));
    this.#before.set(this.#after.get(row), this.#before.get(row));
    this.#byKey.remove(row);
  }

  /** Where it was: what was removed later has been put back before. */
  putBack(row: number): void {
    this.#join(row);
    this.#byKey.restore(row);
  }

  /** Of an object that was removed. */
  free(row: number): void {
    this.#keys.free(this.#key.get(row));
    this.#committedAt.set(row, 0);
    this.#numbers.free(row);
  }

  entry(row: number): ObjectEntry {
    return {
      key: this.key(row),
      bytes: this.bytes(row),
      kind: this.kind(row),
      node: this.#node.get(row) as NodeId,
      committedAt: this.committedAt(row),
    };
  }

  key(row: number): string {
    return this.#keys.get(this.#key.get(row));
  }

  bytes(row: number): number {
    return this.#bytes.get(row);
  }

  kind(row: number): ObjectEntry["kind"] {
    return objectKinds[this.#kind.get(row)] as ObjectEntry["kind"];
  }

  committedAt(row: number): Seq {
    return this.#committedAt.get(row) as Seq;
  }

  /** Ranges that streams hold in it. At 0 it is unreferenced. */
  live(row: number): number {
    return this.#live.get(row);
  }

  setLive(row: number, live: number): void {
    this.#live.set(row, live);
  }

  /** In the order in which they were committed. */
  *rows(): Generator<number> {
    for (let row = this.#after.get(0); row !== 0; row = this.#after.get(row)) yield row;
  }

  /** Between the rows that it names. */
  #join(row: number): void {
    this.#after.set(this.#before.get(row), row);
    this.#before.set(this.#after.get(row), row);
  }
}

/** FNV-1a, over code units. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** Writes Thrift's compact protocol, as far as Parquet's footer and page headers need it. */

const typeTrue = 1;
const typeFalse = 2;
const typeI32 = 5;
const typeI64 = 6;
const typeBinary = 8;
const typeList = 9;
const typeStruct = 12;

const utf8 = new TextEncoder();

/** One struct, field by field, in ascending order of field ids: a field's head is its distance from the one before. */
export class ThriftWriter {
  #bytes = new Uint8Array(256);
  #length = 0;
  #fieldBefore = 0;

  i32(field: number, value: number): void {
    this.#head(field, typeI32);
    this.#zigzag(value);
  }

  i64(field: number, value: number): void {
    this.#head(field, typeI64);
    this.#zigzag(value);
  }

  boolean(field: number, value: boolean): void {
    this.#head(field, value ? typeTrue : typeFalse);
  }

  binary(field: number, value: Uint8Array): void {
    this.#head(field, typeBinary);
    this.#lengthPrefixed(value);
  }

  string(field: number, value: string): void {
    this.binary(field, utf8.encode(value));
  }

  struct(field: number, write: () => void): void {
    this.#head(field, typeStruct);
    this.#inner(write);
  }

  structs<T>(field: number, items: readonly T[], write: (item: T) => void): void {
    this.#listHead(field, typeStruct, items.length);
    for (const item of items) this.#inner(() => write(item));
  }

  i32s(field: number, items: readonly number[]): void {
    this.#listHead(field, typeI32, items.length);
    for (const item of items) this.#zigzag(item);
  }

  strings(field: number, items: readonly string[]): void {
    this.#listHead(field, typeBinary, items.length);
    for (const item of items) this.#lengthPrefixed(utf8.encode(item));
  }

  /** Ends the outermost struct and gives its bytes. */
  finish(): Uint8Array {
    this.#byte(0);
    return this.#bytes.slice(0, this.#length);
  }

  #inner(write: () => void): void {
    const outer = this.#fieldBefore;
    this.#fieldBefore = 0;
    write();
    this.#byte(0);
    this.#fieldBefore = outer;
  }

  #head(field: number, type: number): void {
    const distance = field - this.#fieldBefore;
    if (distance > 0 && distance <= 15) this.#byte((distance << 4) | type);
    else {
      this.#byte(type);
      this.#zigzag(field);
    }
    this.#fieldBefore = field;
  }

  #listHead(field: number, type: number, length: number): void {
    this.#head(field, typeList);
    if (length < 15) this.#byte((length << 4) | type);
    else {
      this.#byte(0xf0 | type);
      this.#varint(length);
    }
  }

  #lengthPrefixed(value: Uint8Array): void {
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Of a safe integer: arithmetic instead of bit operations, which would stop at 32 bits. */
  #zigzag(value: number): void {
    this.#varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 127) {
      this.#byte((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.#byte(rest);
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#length + count, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

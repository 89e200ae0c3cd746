/**
 * Where the fields of a message stand in its bytes: the first of two readings. What the specification says about order,
 * repetition and oneofs is decided here; the values themselves are not looked at.
 */
import type { ProtobufField, ProtobufScalar, ProtobufType } from "../../registry/protobuf-schema.ts";
import { BadRecord } from "./bad-record.ts";
import { type ProtobufReader, wire } from "./protobuf-reader.ts";
import { scalarWire } from "./protobuf-scalar.ts";

/** Cells and fields that one record may come to: two bytes of an empty message in a list could otherwise stand for thousands. */
const cellsPerRecordMax = 4_000_000;

export class CellBudget {
  #left = cellsPerRecordMax;

  refill(): void {
    this.#left = cellsPerRecordMax;
  }
  take(cells: number): void {
    this.#left -= cells;
    if (this.#left < 0) throw new BadRecord("malformed", `a record comes to more than ${cellsPerRecordMax} cells`);
  }
}

/** Where the values of one field stand in the message that is being read. */
export class FieldPlaces {
  readonly field: ProtobufField;
  readonly #wire: number;
  readonly #isMessage: boolean;
  readonly #isMany: boolean;
  readonly #isPackable: boolean;
  /** The other members of its oneof. */
  rivals: readonly FieldPlaces[] = [];
  /** Of a message its content; of a packed run the same, with the start's bits turned; else the value. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  count = 0;

  constructor(field: ProtobufField) {
    const { type, label } = field;
    this.field = field;
    this.#isMessage = type.kind === "message" || label === "map";
    this.#isMany = this.#isMessage || label === "repeated";
    this.#wire = wireOf(type);
    this.#isPackable = label === "repeated" && !this.#isMessage && this.#wire !== wire.length;
  }

  /** The reader stands behind the tag. False when the value is not of this field's kind. */
  note(reader: ProtobufReader, kind: number): boolean {
    const isMessage = this.#isMessage && (kind === wire.length || kind === wire.group);
    const isPacked = this.#isPackable && kind === wire.length;
    if (!isMessage && !isPacked && (this.#isMessage || kind !== this.#wire)) return false;
    const at = this.#isMany ? this.count : 0;
    if ((isMessage && kind === wire.length) || isPacked) {
      const start = reader.takeLength();
      this.starts[at] = isPacked ? ~start : start;
      this.ends[at] = reader.at;
    } else {
      this.starts[at] = reader.at;
      this.ends[at] = reader.skip(kind, this.field.number);
    }
    this.count = at + 1;
    for (const rival of this.rivals) rival.count = 0;
    return true;
  }
}

function wireOf(type: ProtobufType): number {
  if (type.kind === "message") return wire.length;
  return type.kind === "enum" ? wire.varint : scalarWire(type.scalar);
}

/** Numbers below it are found by index. */
const denseNumbersMax = 256;

export class Scan {
  readonly places: readonly FieldPlaces[];
  readonly #dense: (FieldPlaces | undefined)[];
  readonly #sparse = new Map<number, FieldPlaces>();

  constructor(fields: readonly ProtobufField[]) {
    this.places = fields.map((field) => new FieldPlaces(field));
    this.#dense = Array.from({ length: denseNumbersMax }, () => undefined);
    for (const each of this.places) {
      const { number, oneof } = each.field;
      if (number < denseNumbersMax) this.#dense[number] = each;
      else this.#sparse.set(number, each);
      if (oneof !== undefined)
        each.rivals = this.places.filter((other) => other !== each && other.field.oneof === oneof);
    }
  }

  read(reader: ProtobufReader, start: number, end: number): void {
    for (let at = 0; at < this.places.length; at += 1) (this.places[at] as FieldPlaces).count = 0;
    const outer = reader.end;
    reader.at = start;
    reader.end = end;
    while (reader.at < end) {
      const tag = reader.readTag();
      const number = tag >>> 3;
      const found = number < denseNumbersMax ? this.#dense[number] : this.#sparse.get(number);
      if (found?.note(reader, tag & 7) !== true) reader.skip(tag & 7, number);
    }
    reader.end = outer;
  }
}

/** What an entry of a map is a message of. */
export function entryFields(key: ProtobufScalar, type: ProtobufType): readonly ProtobufField[] {
  const common = { label: "singular", key: undefined, hasPresence: false, oneof: undefined, isGroup: false } as const;
  return [
    { ...common, name: "key", number: 1, type: { kind: "scalar", scalar: key } },
    { ...common, name: "value", number: 2, type },
  ];
}

/** All pieces of a message one behind the other: merging them is what reading them in a row does. */
export function joinedContent({ starts, ends, count }: FieldPlaces, reader: ProtobufReader): Uint8Array {
  const pieces = Array.from({ length: count }, (_, at) => reader.bytes.subarray(starts[at], ends[at]));
  return Buffer.concat(pieces);
}

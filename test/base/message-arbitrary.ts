/** Random messages made from a declaration: what a version cannot say has its default. */
import * as fc from "fast-check";
import { type Fields, type Fixed, fieldOf, type Shape, type Sized } from "../../src/base/codec-shape.ts";
import { type Uuid, uuidFromBytes } from "../../src/base/ids.ts";

export function arbitraryMessage(shape: Shape, version: number): fc.Arbitrary<unknown> {
  return arbitraryOf(shape, version, false);
}

function arbitraryOf(shape: Shape, version: number, mayBeNull: boolean): fc.Arbitrary<unknown> {
  const value = arbitraryValue(shape, version);
  return mayBeNull ? fc.option(value, { nil: null, freq: 4 }) : value;
}

function arbitraryValue(shape: Shape, version: number): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case "nullable":
      return arbitraryOf(shape.of.shape, version, version >= shape.since);
    case "array":
      return fc.array(arbitraryOf(shape.element.shape, version, false), { maxLength: 3 });
    case "struct":
      return arbitraryStruct(shape.fields, version);
    case "fixed":
      return arbitraryFixed(shape.of);
    case "sized":
      return arbitrarySized(shape.of);
  }
}

function arbitraryFixed(type: Fixed): fc.Arbitrary<unknown> {
  switch (type) {
    case "boolean":
      return fc.boolean();
    case "int8":
      return fc.integer({ min: -0x80, max: 0x7f });
    case "int16":
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case "uint16":
      return fc.integer({ min: 0, max: 0xffff });
    case "int32":
      return fc.integer();
    case "uint32":
      return fc.integer({ min: 0, max: 0xffff_ffff });
    case "int64":
    case "int64Clamped":
      return fc.maxSafeInteger();
    case "int64Big":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case "float64":
      return fc.double({ noNaN: true });
    case "uuid":
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes): Uuid => uuidFromBytes(bytes));
  }
}

function arbitrarySized(type: Sized): fc.Arbitrary<unknown> {
  switch (type) {
    case "string":
      return fc.string({ unit: "grapheme", maxLength: 40 });
    case "bytes":
    case "records":
      return fc.oneof({ weight: 5, arbitrary: fc.uint8Array({ maxLength: 40 }) }, { weight: 1, arbitrary: large });
    case "recordViews":
      return fc.oneof(
        fc.constant([]),
        fc.uint8Array({ minLength: 1, maxLength: 40 }).map((view) => [view]),
        large.map((view) => [view]),
      );
  }
}

/** Large enough to be passed by reference. */
const large = fc.uint8Array({ minLength: 600, maxLength: 700 });

function arbitraryStruct(fields: Fields, version: number): fc.Arbitrary<unknown> {
  const arbitraries = Object.entries(fields).map(([key, type]) => {
    const field = fieldOf(type);
    const present = field === undefined || (version >= field.from && version <= field.to);
    return [key, present ? arbitraryOf(type.shape, version, false) : fc.constant(field.default)] as const;
  });
  return fc.record(Object.fromEntries(arbitraries), { noNullPrototype: true });
}

/**
 * Values of every type of every source, at the ends of what it can say, and the cell that each becomes. By the type's title in
 * src/table/schema/type-table.ts; Avro's and Protobuf's as their encoders take them, JSON's as text.
 */
import type { TypeSource } from "../../src/table/schema/type-table.ts";
import type { Cell } from "../canonical.ts";

export type Value = readonly [input: unknown, cell: Cell];

const longMin = -(2n ** 63n);
const longMax = 2n ** 63n - 1n;
const [intMin, intMax] = [-(2 ** 31), 2 ** 31 - 1];
const floatMin = 2 ** -149;
const floatMax = 3.4028234663852886e38;
const ducks = "🦆👩‍👩‍👧‍👦 \u0000 é";
const [uuidText, uuidBytes] = [
  "f79c3e09-677c-4bbd-a479-3f349cb785e7",
  Buffer.from("f79c3e09677c4bbda4793f349cb785e7", "hex"),
];
const [yearOneDay, lastDay] = [-719_162, 2_932_896];
const [yearOneMs, lastMs] = [-62_135_596_800_000, 253_402_300_799_999];

const micros = (value: bigint | number): Cell => ({ micros: BigInt(value) });
const days = (value: number): Cell => ({ days: value });
const time = (value: number): Cell => ({ time: BigInt(value) });
const decimal = (text: string): Cell => ({ decimal: text });
const bytes = (...values: readonly number[]): Buffer => Buffer.from(values);
const same = <T extends Cell>(...values: readonly T[]): readonly Value[] => values.map((value) => [value, value]);
const whole = (...values: readonly number[]): readonly Value[] => values.map((value) => [value, BigInt(value)]);
const bigs = (...values: readonly bigint[]): readonly Value[] => values.map((value) => [value, value]);

/** Two's complement, big-endian, of `size` bytes or as few as it needs. */
function unscaled(value: bigint, size?: number): Buffer {
  const length = size ?? Math.ceil((value.toString(2).length + 1) / 8);
  return Buffer.from(
    BigInt.asUintN(length * 8, value)
      .toString(16)
      .padStart(length * 2, "0"),
    "hex",
  );
}

const moneyMax = 10n ** 38n - 1n;
const millis = [yearOneMs, -1, 0, lastMs].map((value): Value => [BigInt(value), micros(BigInt(value) * 1000n)]);
const microseconds = [BigInt(yearOneMs) * 1000n, -1n, 0n, BigInt(lastMs) * 1000n + 999n].map(
  (value): Value => [value, micros(value)],
);
/** Below a microsecond time is cut towards the past. */
const nanos: readonly Value[] = [
  [-1n, micros(-1)],
  [-1001n, micros(-2)],
  [0n, micros(0)],
  [1_700_000_000_123_456_789n, micros(1_700_000_000_123_456n)],
  [longMin, micros(-9_223_372_036_854_776n)],
  [longMax, micros(9_223_372_036_854_775n)],
];
const floats = same(Number.NaN, -0, 0, 1.5, floatMin, floatMax, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
const doubles = same(Number.NaN, -0, 0, 5e-324, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
const texts = same("", ducks, "plain");
const binaries = same(bytes(), bytes(0), bytes(255, 0, 254));

/** A member of a union goes by the name of its type. */
const tree = (v: number, left?: object): object => ({ left: left === undefined ? null : { Tree: left }, v });

const avro: Readonly<Record<string, readonly Value[]>> = {
  "`null`": [[null, null]],
  "`boolean`": same(true, false),
  "`int`": whole(intMin, 0, intMax),
  "`long`": bigs(longMin, 0n, longMax),
  "`float`": floats,
  "`double`": doubles,
  "`bytes`": binaries,
  "`string`": texts,
  "`fixed` of 7 bytes": same(Buffer.alloc(7), Buffer.alloc(7, 255)),
  "`enum`": same("SPADES", "HEARTS"),
  "`bytes`, `decimal(12, 3)`": [
    [unscaled(999_999_999_999n), decimal("999999999.999")],
    [unscaled(-999_999_999_999n), decimal("-999999999.999")],
    [unscaled(0n), decimal("0")],
    [unscaled(-1n), decimal("-0.001")],
    [unscaled(1500n), decimal("1.5")],
  ],
  "`fixed`, `decimal(38, 10)`": [
    [unscaled(moneyMax, 16), decimal("9999999999999999999999999999.9999999999")],
    [unscaled(-moneyMax, 16), decimal("-9999999999999999999999999999.9999999999")],
    [unscaled(0n, 16), decimal("0")],
  ],
  "`decimal` beyond 38 digits": [
    [unscaled(10n ** 39n - 1n), `${"9".repeat(38)}.9`],
    [unscaled(-(10n ** 39n - 1n)), `-${"9".repeat(38)}.9`],
    [unscaled(0n), "0.0"],
  ],
  "`string`, `uuid`": [[uuidText, uuidBytes]],
  "`fixed` of 16 bytes, `uuid`": same(uuidBytes, Buffer.alloc(16, 255)),
  "`int`, `date`": [yearOneDay, -1, 0, lastDay].map((value): Value => [value, days(value)]),
  "`int`, `time-millis`": [0, 1, 86_399_999].map((value): Value => [value, time(value * 1000)]),
  "`long`, `time-micros`": [0n, 1n, 86_399_999_999n].map((value): Value => [value, { time: value }]),
  "`long`, `timestamp-millis`": millis,
  "`long`, `timestamp-micros`": microseconds,
  "`long`, `timestamp-nanos`": nanos,
  "`long`, `local-timestamp-millis`": millis,
  "`long`, `local-timestamp-micros`": microseconds,
  "`long`, `local-timestamp-nanos`": nanos,
  "`fixed` of 12 bytes, `duration`": same(Buffer.alloc(12), Buffer.alloc(12, 255)),
  "`[null, T]`": [
    [null, null],
    [{ long: longMax }, longMax],
  ],
  "`[A, B]`": [
    [{ string: ducks }, { struct: [ducks, null] }],
    [{ long: longMin }, { struct: [null, longMin] }],
  ],
  "`array` of T": [
    [[], []],
    [
      [intMin, intMax],
      [BigInt(intMin), BigInt(intMax)],
    ],
  ],
  "`map` of T": [
    [{}, []],
    [{ b: -0, "": Number.NaN }, [{ struct: ["", Number.NaN] }, { struct: ["b", -0] }]],
  ],
  "`record`": [
    [{ x: -0 }, { struct: [-0] }],
    [{ x: Number.NaN }, { struct: [Number.NaN] }],
  ],
  "`record` without fields": [[{}, null]],
  "Connect's `Decimal`, of scale 2 and no precision": [
    [unscaled(moneyMax), decimal("999999999999999999999999999999999999.99")],
    [unscaled(-12345n), decimal("-123.45")],
    [unscaled(0n), decimal("0")],
  ],
  "`record` inside itself, from the third time": [
    [tree(1), { struct: [null, 1n] }],
    [tree(1, tree(2, tree(3, tree(4)))), { struct: [{ struct: [{ struct: ['{"left":null,"v":4}', 3n] }, 2n] }, 1n] }],
  ],
};

/** What is 0, false, empty or the first name is not on the wire. */
const protobuf: Readonly<Record<string, readonly Value[]>> = {
  "`int32`, `sint32`, `sfixed32`": whole(intMin, 0, intMax),
  "`uint32`, `fixed32`": whole(0, 2 ** 32 - 1),
  "`int64`, `sint64`, `sfixed64`": [longMin, 0n, longMax].map((value): Value => [String(value), value]),
  "`uint64`, `fixed64`": [0n, 2n ** 64n - 1n].map((value): Value => [String(value), decimal(String(value))]),
  "`float`": floats,
  "`double`": doubles,
  "`bool`": same(true, false),
  "`string`": texts,
  "`bytes`": binaries,
  enum: same("SPADES", "HEARTS"),
  message: [
    [{ x: 1.5 }, { struct: [1.5] }],
    [{}, { struct: [0] }],
    [null, null],
  ],
  "message without fields": [[{}, null]],
  "message inside itself, from the third time": [
    [{ v: 1 }, { struct: [null, 1n] }],
    [
      { left: { left: { left: { v: 4 }, v: 3 }, v: 2 }, v: 1 },
      { struct: [{ struct: [{ struct: ['{"v":4}', 3n] }, 2n] }, 1n] },
    ],
  ],
  "`repeated` T": [
    [[], []],
    [
      [intMin, intMax],
      [BigInt(intMin), BigInt(intMax)],
    ],
  ],
  "`map<K, V>`": [
    [{}, []],
    [{ "7": -0, "-1": Number.NaN }, [{ struct: ["-1", Number.NaN] }, { struct: ["7", -0] }]],
  ],
  "`google.protobuf.Timestamp`": [
    [{ seconds: String(yearOneMs / 1000), nanos: 0 }, micros(BigInt(yearOneMs) * 1000n)],
    [{ seconds: "-1", nanos: 999_999_999 }, micros(-1)],
    [{ seconds: String(Math.floor(lastMs / 1000)), nanos: 999_999_999 }, micros(BigInt(lastMs) * 1000n + 999n)],
    [null, null],
  ],
  "`google.protobuf.Duration`": [
    [{ seconds: "-315576000000", nanos: -999_999_999 }, { struct: [-315_576_000_000n, -999_999_999n] }],
    [null, null],
  ],
  "`google.type.Date`": [
    [{ year: 1, month: 1, day: 1 }, days(yearOneDay)],
    [{ year: 1969, month: 12, day: 31 }, days(-1)],
    [{ year: 9999, month: 12, day: 31 }, days(lastDay)],
    [null, null],
  ],
  "`google.type.TimeOfDay`": [
    [{}, time(0)],
    [{ hours: 23, minutes: 59, seconds: 59, nanos: 999_999_999 }, time(86_399_999_999)],
    [null, null],
  ],
  "`google.protobuf.Int64Value` and the other wrappers": [
    [{}, 0n],
    [{ value: String(longMax) }, longMax],
    [null, null],
  ],
  "`google.protobuf.UInt64Value`": [
    [{ value: String(2n ** 64n - 1n) }, decimal(String(2n ** 64n - 1n))],
    [null, null],
  ],
  "`google.protobuf.StringValue`": [
    [{}, ""],
    [{ value: ducks }, ducks],
    [null, null],
  ],
  "`google.protobuf.BytesValue`": [
    [{}, bytes()],
    [{ value: bytes(255, 0) }, bytes(255, 0)],
    [null, null],
  ],
  "`google.protobuf.Struct`, `Value`, `ListValue`": [
    [{ fields: { a: { listValue: { values: [{ stringValue: "é" }, { nullValue: 0 }] } } } }, '{"a":["é",null]}'],
    [null, null],
  ],
  "`google.protobuf.Any`": [
    [{ type_url: "type/X", value: bytes(1, 2) }, '{"type_url":"type/X","value":"AQI="}'],
    [null, null],
  ],
  "`confluent.type.Decimal`, of scale 2": [
    [{}, decimal("0")],
    [{ value: unscaled(moneyMax), precision: 38, scale: 2 }, decimal("999999999999999999999999999999999999.99")],
    [{ value: unscaled(-5n), precision: 1, scale: 1 }, decimal("-0.5")],
    [null, null],
  ],
};

const number: readonly Value[] = [
  ["-0.0", -0],
  ["5e-324", 5e-324],
  ["1.7976931348623157e308", Number.MAX_VALUE],
  ["0", 0],
];
const text: readonly Value[] = [
  ['""', ""],
  [JSON.stringify(ducks), ducks],
];
/** What is left as it came. */
const asText = (...values: readonly string[]): readonly Value[] => values.map((value) => [value, value]);

const jsonSchema: Readonly<Record<string, readonly Value[]>> = {
  "`boolean`": [
    ["true", true],
    ["false", false],
  ],
  "`integer`": [longMin, 0n, longMax].map((value): Value => [String(value), value]),
  "`number`": number,
  "`integer` or `number`": [
    ["1", 1],
    ["1.5", 1.5],
  ],
  "`string`": text,
  "`string`, `date-time`": [
    ['"0001-01-01T00:00:00Z"', micros(BigInt(yearOneMs) * 1000n)],
    ['"1969-12-31T23:59:59.999999Z"', micros(-1)],
    ['"1970-01-01T01:00:00+01:00"', micros(0)],
    ['"9999-12-31T23:59:59.999999Z"', micros(BigInt(lastMs) * 1000n + 999n)],
  ],
  "`string`, `date`": [
    ['"0001-01-01"', days(yearOneDay)],
    ['"1969-12-31"', days(-1)],
    ['"9999-12-31"', days(lastDay)],
  ],
  "`string`, `uuid`": [[`"${uuidText}"`, uuidBytes]],
  "`string` of any other format": text,
  "T or `null`": [...text, ["null", null]],
  "`oneOf`, `anyOf` of T and `null`": [
    [String(longMax), longMax],
    ["null", null],
  ],
  "`oneOf`, `anyOf` of several": asText('"a"', "1"),
  "`enum`, `const`": [
    ['"a"', "a"],
    ['"b"', "b"],
  ],
  "`object` with `properties`": [
    ['{"x":-0.0}', { struct: [-0] }],
    ["{}", { struct: [null] }],
  ],
  "`object` with `properties`, and `oneOf` or `anyOf`": [
    ['{"x":-1.5}', { struct: [-1.5] }],
    ["{}", { struct: [null] }],
  ],
  "`object` with `additionalProperties` of T alone": [
    ["{}", []],
    [`{"b":${longMax},"":0}`, [{ struct: ["", 0n] }, { struct: ["b", longMax] }]],
  ],
  "`object` of neither": asText("{}", '{"a":[1,null]}'),
  "`allOf` of objects": [['{"a":"é","b":1.5}', { struct: ["é", 1.5] }]],
  "`array` of T": [
    ["[]", []],
    ['["","🦆"]', ["", "🦆"]],
  ],
  tuple: asText('["a",1]', "[]"),
  anything: asText('{"a":1}', "12345678901234567890", '"s"'),
  nothing: [],
  "Connect's `Decimal`, of scale 2": [
    ['"AA=="', decimal("0")],
    [`"${unscaled(-12345n).toString("base64")}"`, decimal("-123.45")],
    [`"${unscaled(10n ** 38n - 1n).toString("base64")}"`, decimal("999999999999999999999999999999999999.99")],
    ["1.5", decimal("1.5")],
  ],
  "Connect's `Decimal`, of precision 9": [
    [`"${unscaled(-999_999_999n).toString("base64")}"`, decimal("-9999999.99")],
    ["9999999.99", decimal("9999999.99")],
  ],
  "Connect's `Date`": [
    [String(yearOneDay), days(yearOneDay)],
    ["-1", days(-1)],
    [String(lastDay), days(lastDay)],
  ],
  "Connect's `Time`": [
    ["0", time(0)],
    ["86399999", time(86_399_999_000)],
  ],
  "Connect's bytes": [
    ['""', bytes()],
    ['"/wA="', bytes(255, 0)],
  ],
  "Connect's `Timestamp`": [
    [String(yearOneMs), micros(BigInt(yearOneMs) * 1000n)],
    ["-1", micros(-1000)],
    [String(lastMs), micros(BigInt(lastMs) * 1000n)],
  ],
};

const inferred: Readonly<Record<string, readonly Value[]>> = {
  number: [["1.5", 1.5], ...number],
  string: [['"text"', "text"], ...text],
  "`true`, `false`": [
    ["true", true],
    ["false", false],
  ],
  object: [
    ['{"x":1}', { struct: [1] }],
    ['{"x":-0.0}', { struct: [-0] }],
  ],
  array: [
    ['["text"]', ["text"]],
    ["[]", []],
    ['["","🦆"]', ["", "🦆"]],
  ],
  "`null`, `[]`, `{}`: until something else is met": [
    ["null", null],
    ["[]", null],
    ["{}", null],
  ],
};

export const typeValues: Readonly<Record<TypeSource, Readonly<Record<string, readonly Value[]>>>> = {
  Avro: avro,
  Protobuf: protobuf,
  "JSON Schema": jsonSchema,
  "JSON without a schema": inferred,
};

/** Proves: a record that is scanned comes to the same columns, or to the same error, as one that is parsed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BadRecord } from "../../../src/table/decode/bad-record.ts";
import { makeBound } from "../../../src/table/decode/bound.ts";
import {
  compileJsonRecord,
  compileJsonValue,
  type JsonRecordPut,
  readJson,
} from "../../../src/table/decode/json-record.ts";
import type { IcebergType, Schema } from "../../../src/table/iceberg/types.ts";
import { below, Columns } from "../../../src/table/parquet/columns.ts";
import type { BytesLeaf } from "../../../src/table/translate/leaf.ts";
import { utf8 } from "../translate-fixtures.ts";

const field = (id: number, name: string, type: IcebergType) => ({ id, name, required: false, type });
const schema: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [
    field(1, "s", "string"),
    field(2, "l", "long"),
    field(3, "d", "double"),
    field(4, "b", "boolean"),
    field(5, "o", { type: "struct", fields: [field(6, "x", "string"), field(7, "é", "long")] }),
    field(8, "a", { type: "list", "element-id": 9, "element-required": false, element: "double" }),
    field(10, "t", "timestamptz"),
    field(11, "m", {
      type: "map",
      "key-id": 12,
      key: "string",
      "value-id": 13,
      "value-required": false,
      value: "long",
    }),
    field(14, "_extra", "string"),
  ],
};
const bindings = [
  ...schema.fields.slice(0, -1).map(({ id, name }) => ({ parent: 0, name, id })),
  { parent: 5, name: "x", id: 6 },
  { parent: 5, name: "é", id: 7 },
  { parent: 0, name: "unwanted", id: 0 },
];

interface Side {
  readonly columns: Columns;
  readonly put: JsonRecordPut;
}

function side(isStrict: boolean, isScanned: boolean): Side {
  const columns = new Columns(schema);
  const { root } = columns;
  const fields = root.fields.slice(0, -1);
  const node = { ...root, fields, ...below(fields.map((each) => each.node)) };
  const extra = columns.leaves.at(-1) as BytesLeaf;
  const target = { node, bound: makeBound(bindings), extra };
  const rules = { source: undefined, isStrict, mayGrow: false, excluded: new Set(["/unwanted"]) };
  const parsed = compileJsonValue(target, rules);
  const put: JsonRecordPut = isScanned
    ? compileJsonRecord(target, rules)
    : (text, start) => parsed(readJson(text, start), () => readJson(text, start, "all"));
  return { columns, put };
}

/** What became of the record. */
function outcome({ columns, put }: Side, text: Uint8Array): unknown {
  try {
    const wanted = put(text, 0);
    columns.endRow();
    return wanted;
  } catch (cause) {
    if (!(cause instanceof BadRecord)) throw cause;
    columns.undoRow();
    return { reason: cause.reason, message: cause.message };
  }
}

function contents({ leaves }: Columns): unknown {
  return leaves.map((leaf) => ({
    defs: [...leaf.defs.subarray(0, leaf.slots)],
    reps: [...leaf.reps.subarray(0, leaf.maxRep > 0 ? leaf.slots : 0)],
    values: Array.from({ length: leaf.count }, (_, at) => {
      if (leaf.kind === "bytes" || leaf.kind === "fixed") return Buffer.from(leaf.at(at)).toString("hex");
      return leaf.kind === "int64" ? leaf.at(at) : leaf.values[at];
    }),
  }));
}

/** Whether the scan was of use cannot be seen from outside; that it changes nothing can. */
function expectSame(texts: readonly (string | Uint8Array)[], isStrict: boolean): void {
  const [scanned, parsed] = [side(isStrict, true), side(isStrict, false)];
  for (const text of texts) {
    const bytes = typeof text === "string" ? utf8(text) : text;
    expect(outcome(scanned, bytes), String(text)).toEqual(outcome(parsed, bytes));
  }
  expect(contents(scanned.columns)).toEqual(contents(parsed.columns));
}

const plain =
  '{"s":"x","l":1,"d":0.5,"b":true,"o":{"x":"y","é":2},"a":[1,null,2.5],"t":"2026-11-22T10:00:00Z","m":{"k":1}}';

test.each([
  '{"l":1,"s":"x"}',
  ' { "s" : "x" , "a" : [ 1 , 2 ] , "o" : { } } ',
  '{"s":"a\\nb\\u00e9","o":{"\\u0078":"z"}}',
  '{"s":"é€😀"}',
  '{"s":"\\ud800"}',
  '{"s":"a\nb"}',
  '{"s":"a","s":"b"}',
  '{"s":null,"unknown":null}',
  '{"unknown":1,"s":"x"}',
  '{"unwanted":{"deep":[1,"]"]},"s":"x"}',
  '{"a":[],"m":{}}',
  '{"a":[1,]}',
  '{"a":[1 2]}',
  '{"s":"x",}',
  '{"s":"x"} x',
  '{"s":"x"}}',
  '{"s":"x"',
  '{"s":tru}',
  '{"b":nul}',
  '{"b":false,"l":"1"}',
  '{"o":7}',
  "[]",
  "null",
  "",
  "{",
  '{"t":"yesterday"}',
  '{"m":{"2":1,"1":2,"2":3}}',
  '{"m":{"k":9007199254740993}}',
  ...[
    "0",
    "-0",
    "01",
    "-",
    "+1",
    ".5",
    "1.",
    "1.0",
    "-12.75",
    "1e2",
    "1E-2",
    "1e400",
    "0.1",
    "0.30000000000000004",
  ].flatMap((number) => [`{"d":${number}}`, `{"l":${number}}`]),
  ...[
    "9007199254740991",
    "9007199254740955",
    "9007199254740992",
    "-9007199254740993",
    "12345678901234567890",
    "123456789012345.6",
  ].flatMap((number) => [`{"d":${number}}`, `{"l":${number}}`]),
])("%s", (text) => {
  for (const isStrict of [false, true]) expectSame([plain, text, plain, text, plain], isStrict);
});

test("text that is not UTF-8", () => {
  const broken = Uint8Array.from([...utf8('{"s":"'), 0xff, ...utf8('"}')]);
  for (const isStrict of [false, true]) expectSame([plain, broken, plain], isStrict);
});

test("any records in any order", () => {
  const number = fc.oneof(fc.integer(), fc.double(), fc.maxSafeInteger());
  const record = fc.record(
    {
      s: fc.oneof(fc.string({ unit: "binary" }), fc.string(), number),
      l: fc.oneof(fc.maxSafeInteger(), number),
      d: number,
      b: fc.oneof(fc.boolean(), fc.constant(null)),
      o: fc.oneof(fc.record({ x: fc.string(), é: fc.integer() }, { requiredKeys: [] }), fc.constant(null)),
      a: fc.array(fc.oneof(fc.double(), fc.constant(null), fc.string())),
      m: fc.dictionary(fc.string(), fc.integer()),
      unknown: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const text = fc
    .tuple(record, fc.constantFrom(undefined, 1))
    .map(([value, indent]) => JSON.stringify(value, null, indent));
  const cut = fc.tuple(text, fc.nat(20)).map(([whole, left]) => whole.slice(0, Math.max(0, whole.length - left)));
  const texts = fc.array(fc.oneof({ arbitrary: text, weight: 9 }, cut), { maxLength: 12 });
  fc.assert(fc.property(texts, fc.boolean(), expectSame));
});

/** The footer of a Parquet file (parquet.thrift, FileMetaData): the schema with field ids, and where each column lies. */
import { unreachable } from "../../base/errors.ts";
import { bigintFromBytes, fixedBigintBytes } from "../iceberg/bounds.ts";
import { decimalShape, type Layout, layoutOf } from "../iceberg/primitive.ts";
import type { IcebergType, PrimitiveType, Schema } from "../iceberg/types.ts";
import { type Chunk, encoding } from "./parquet-chunk.ts";
import { boundsOf } from "./parquet-statistics.ts";
import { ThriftWriter } from "./parquet-thrift.ts";

export interface FooterRowGroup {
  readonly rows: number;
  /** In the file, of its first page. */
  readonly position: number;
  readonly chunks: readonly { readonly chunk: Chunk; readonly position: number }[];
}

const createdBy = "inlet";
const codecZstd = 6;
const required = 0;
const optional = 1;
const repeated = 2;

export function writeFooter(schema: Schema, groups: readonly FooterRowGroup[], rows: number): Uint8Array {
  const footer = new ThriftWriter();
  const elements = schemaElements(schema);
  footer.i32(1, 2); // The format's version; 2 admits RLE_DICTIONARY.
  footer.structs(2, elements, (element) => writeElement(footer, element));
  footer.i64(3, rows);
  footer.structs(4, groups, (group) => writeRowGroup(footer, group));
  footer.string(6, createdBy);
  // Says that minimum and maximum are in the order that the type defines; without it readers distrust them.
  footer.structs(7, groups[0]?.chunks ?? [], () => footer.struct(1, () => {}));
  return footer.finish();
}

/** A node of the schema tree, which is written depth first. */
interface Element {
  readonly name: string;
  readonly repetition: number | undefined;
  readonly id: number | undefined;
  readonly children: number;
  readonly type: PrimitiveType | "list" | "map" | "group";
}

function schemaElements(schema: Schema): readonly Element[] {
  const root: Element = {
    name: "table",
    repetition: undefined,
    id: undefined,
    children: schema.fields.length,
    type: "group",
  };
  return [
    root,
    ...schema.fields.flatMap((field) =>
      fieldElements(field.name, field.id, field.required ? required : optional, field.type),
    ),
  ];
}

function fieldElements(name: string, id: number, repetition: number, type: IcebergType): readonly Element[] {
  if (typeof type === "string") return [{ name, id, repetition, children: 0, type }];
  const wrapper = (wrapperName: string, children: number): Element => ({
    name: wrapperName,
    repetition: repeated,
    id: undefined, // Rule A1: the repeated group is Parquet's own; Iceberg has no field for it.
    children,
    type: "group",
  });
  switch (type.type) {
    case "struct":
      return [
        { name, id, repetition, children: type.fields.length, type: "group" },
        ...type.fields.flatMap((field) =>
          fieldElements(field.name, field.id, field.required ? required : optional, field.type),
        ),
      ];
    case "list":
      return [
        { name, id, repetition, children: 1, type: "list" },
        wrapper("list", 1),
        ...fieldElements("element", type["element-id"], type["element-required"] ? required : optional, type.element),
      ];
    case "map":
      return [
        { name, id, repetition, children: 1, type: "map" },
        wrapper("key_value", 2),
        ...fieldElements("key", type["key-id"], required, type.key),
        ...fieldElements("value", type["value-id"], type["value-required"] ? required : optional, type.value),
      ];
    default:
      return unreachable(type);
  }
}

/** parquet.thrift, enum Type. */
const physicalTypes = { boolean: 0, int32: 1, int64: 2, float: 4, double: 5, bytes: 6, fixed: 7 } as const;

function writeElement(out: ThriftWriter, element: Element): void {
  const isGroup = element.type === "group" || element.type === "list" || element.type === "map";
  if (!isGroup) {
    const layout: Layout = layoutOf(element.type);
    out.i32(1, physicalTypes[layout.kind]);
    if (layout.kind === "fixed") out.i32(2, layout.width);
  }
  if (element.repetition !== undefined) out.i32(3, element.repetition);
  out.string(4, element.name);
  if (isGroup) out.i32(5, element.children);
  const annotation = annotationOf(element.type);
  if (annotation?.converted !== undefined) out.i32(6, annotation.converted);
  const decimal = decimalShape(element.type);
  if (decimal !== undefined) {
    out.i32(7, decimal.scale);
    out.i32(8, decimal.precision);
  }
  if (element.id !== undefined) out.i32(9, element.id);
  if (annotation !== undefined) {
    out.struct(10, () => out.struct(annotation.logical, () => annotation.parameters?.(out)));
  }
}

interface Annotation {
  /** parquet.thrift, enum ConvertedType: what readers knew before logical types. */
  readonly converted?: number;
  /** parquet.thrift, union LogicalType. */
  readonly logical: number;
  readonly parameters?: (out: ThriftWriter) => void;
}

function annotationOf(type: Element["type"]): Annotation | undefined {
  switch (type) {
    case "string":
      return { converted: 0, logical: 1 };
    case "map":
      return { converted: 1, logical: 2 };
    case "list":
      return { converted: 3, logical: 3 };
    case "date":
      return { converted: 6, logical: 6 };
    case "time":
      return { converted: 8, logical: 7, parameters: timeUnit(false, unitMicros) };
    case "timestamp":
      return { converted: 10, logical: 8, parameters: timeUnit(false, unitMicros) };
    case "timestamptz":
      return { converted: 10, logical: 8, parameters: timeUnit(true, unitMicros) };
    case "timestamp_ns":
      return { logical: 8, parameters: timeUnit(false, unitNanos) };
    case "timestamptz_ns":
      return { logical: 8, parameters: timeUnit(true, unitNanos) };
    case "uuid":
      return { logical: 14 };
    case "binary":
    case "boolean":
    case "double":
    case "float":
    case "group":
    case "int":
    case "long":
    default: {
      const decimal = decimalShape(type);
      if (decimal === undefined) return undefined;
      return {
        converted: 5,
        logical: 5,
        parameters(out) {
          out.i32(1, decimal.scale);
          out.i32(2, decimal.precision);
        },
      };
    }
  }
}

/** parquet.thrift, union TimeUnit. */
const unitMicros = 2;
const unitNanos = 3;

function timeUnit(isAdjustedToUtc: boolean, unit: number): (out: ThriftWriter) => void {
  return (out) => {
    out.boolean(1, isAdjustedToUtc);
    out.struct(2, () => out.struct(unit, () => {}));
  };
}

function writeRowGroup(out: ThriftWriter, group: FooterRowGroup): void {
  let bytes = 0;
  let bytesUncompressed = 0;
  for (const { chunk } of group.chunks) {
    bytes += chunk.bytes;
    bytesUncompressed += chunk.bytesUncompressed;
  }
  out.structs(1, group.chunks, ({ chunk, position }) => {
    out.i64(2, 0); // file_offset: deprecated, and 0 by the format's advice.
    out.struct(3, () => writeColumn(out, chunk, position));
  });
  out.i64(2, bytesUncompressed);
  out.i64(3, group.rows);
  out.i64(5, group.position);
  out.i64(6, bytes);
}

function writeColumn(out: ThriftWriter, chunk: Chunk, position: number): void {
  const hasDictionary = chunk.dictionaryPageBytes > 0;
  const valueEncoding = hasDictionary ? encoding.rleDictionary : encoding.plain;
  const encodings = hasDictionary
    ? [encoding.plain, encoding.rle, encoding.rleDictionary]
    : [encoding.plain, encoding.rle];
  out.i32(1, physicalTypes[layoutOf(chunk.leaf.type).kind]);
  out.i32s(2, encodings);
  out.strings(3, chunk.leaf.path);
  out.i32(4, codecZstd);
  out.i64(5, chunk.slots);
  out.i64(6, chunk.bytesUncompressed);
  out.i64(7, chunk.bytes);
  out.i64(9, position + chunk.dictionaryPageBytes);
  if (hasDictionary) out.i64(11, position);
  out.struct(12, () => writeStatistics(out, chunk));
  const pages = [{ type: 0, encoding: valueEncoding as number, count: chunk.dataPages }];
  if (hasDictionary) pages.unshift({ type: 2, encoding: encoding.plain, count: 1 });
  // Tells a reader that all data pages are indexed, so that it may filter by the dictionary alone.
  out.structs(13, pages, (page) => {
    out.i32(1, page.type);
    out.i32(2, page.encoding);
    out.i32(3, page.count);
  });
}

function writeStatistics(out: ThriftWriter, chunk: Chunk): void {
  out.i64(3, chunk.slots - chunk.values);
  const bounds = boundsOf(chunk.leaf.type, chunk.extremes);
  // A minimum alone has readers pass over every row: a maximum that is not there is an empty one to some. With a NaN among the
  // values a reader could not tell what the bounds leave out.
  if (bounds?.upper === undefined || chunk.extremes.nans > 0) return;
  out.binary(5, physicalBytes(chunk.leaf.type, bounds.upper));
  out.binary(6, physicalBytes(chunk.leaf.type, bounds.lower));
  out.boolean(7, bounds.upperIsExact);
  out.boolean(8, bounds.lowerIsExact);
}

/** Parquet writes statistics as PLAIN; only decimals differ from Iceberg's form, which is big-endian and minimal. */
function physicalBytes(type: PrimitiveType, serialized: Uint8Array): Uint8Array {
  if (decimalShape(type) === undefined) return serialized;
  const layout = layoutOf(type);
  const unscaled = bigintFromBytes(serialized);
  if (layout.kind === "fixed") return fixedBigintBytes(unscaled, layout.width);
  return fixedBigintBytes(unscaled, layout.kind === "int32" ? 4 : 8).reverse();
}

/** Values of Kafka Connect's logical types in JSON (connect-types.ts draws them) into their columns. */
import { decimalShape } from "../iceberg/primitive.ts";
import type { PrimitiveType } from "../iceberg/types.ts";
import type { BytesLeaf, Int32Leaf, Int64Leaf, Leaf } from "../translate/leaf.ts";
import { decimalText, unscaledAt } from "./avro-scalar.ts";
import { BadRecord } from "./bad-record.ts";
import { compileCast } from "./cast.ts";
import { isRawNumber } from "./json-text.ts";

const dayMs = 86_400_000;
const int32Max = 2 ** 31;
/** Beyond it numbers of JSON are not exact; microseconds of 64 bits end a little later. */
const timestampMsMax = Number.MAX_SAFE_INTEGER;

/** `type` is what the source became; undefined is answered where a person wants another. Throws BadRecord. */
export function compileConnect(leaf: Leaf, type: PrimitiveType): ((value: unknown, rep: number) => void) | undefined {
  const decimal = decimalShape(type);
  if (decimal !== undefined) {
    const put = compileCast(leaf);
    return (value, rep) => put({ text: connectNumber(value, decimal.scale), isText: false }, rep);
  }
  if (leaf.shape.type !== type) return undefined;
  if (type === "binary") {
    return (value, rep) => {
      const bytes = fromBase64(value);
      (leaf as BytesLeaf).put(rep, bytes, 0, bytes.length);
    };
  }
  if (type === "date")
    return (value, rep) => (leaf as Int32Leaf).put(rep, whole(value, { min: -int32Max, max: int32Max - 1 }));
  const limits = type === "time" ? { min: 0, max: dayMs - 1 } : { min: -timestampMsMax, max: timestampMsMax };
  return (value, rep) => (leaf as Int64Leaf).putBigInt(rep, BigInt(whole(value, limits)) * 1000n);
}

/** A decimal as the number is written. Throws BadRecord. */
export function connectNumber(value: unknown, scale: number): string {
  if (typeof value === "number" || isRawNumber(value)) return JSON.stringify(value);
  if (typeof value !== "string" || !isBase64.test(value))
    throw new BadRecord("type-mismatch", `a decimal expected, ${JSON.stringify(value).slice(0, 60)} found`);
  const bytes = Buffer.from(value, "base64");
  return decimalText(unscaledAt(bytes, 0, bytes.length), scale);
}

/** No expression looks for what is not base64: bytes may be as long as a record, and its stack is not. */
function fromBase64(value: unknown): Uint8Array {
  const bytes = typeof value === "string" ? Buffer.from(value, "base64") : undefined;
  if (bytes === undefined || bytes.toString("base64") !== value)
    throw new BadRecord("type-mismatch", `bytes in base64 expected, ${JSON.stringify(value).slice(0, 60)} found`);
  return bytes;
}

const isBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$/;

function whole(value: unknown, { min, max }: { readonly min: number; readonly max: number }): number {
  const number = isRawNumber(value) ? Number(value.rawJSON) : value;
  if (typeof number !== "number" || !Number.isInteger(number))
    throw new BadRecord("type-mismatch", `an integer expected, ${JSON.stringify(value).slice(0, 60)} found`);
  if (number < min || number > max) throw new BadRecord("out-of-range", `${number} is not within ${min} and ${max}`);
  return number;
}

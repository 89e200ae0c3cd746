/** The text of a number as the unscaled integer of a decimal, exactly or not at all. */
import type { DecimalShape } from "../iceberg/primitive.ts";
import { BadRecord } from "./bad-record.ts";

const number = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

/** Throws BadRecord. Trailing zeros are no digits: 1.500 is a decimal(2, 1). */
export function unscaledOf(text: string, { precision, scale }: DecimalShape): bigint {
  const match = number.exec(text);
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match ?? [];
  if (match === null || whole.length + fraction.length === 0)
    throw new BadRecord("type-mismatch", `"${text.slice(0, shownMax)}" is no number`);
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const significant = withoutZerosBehind(digits);
  if (significant === "") return 0n;
  // Beyond what a double counts exactly, an exponent is beyond every decimal all the same.
  const shift = Number(exponent) - fraction.length + (digits.length - significant.length) + scale;
  if (significant.length + shift > precision)
    throw new BadRecord("out-of-range", `${text.slice(0, shownMax)} is beyond decimal(${precision}, ${scale})`);
  if (shift < 0)
    throw new BadRecord("out-of-range", `${text.slice(0, shownMax)} has more than ${scale} digits after the point`);
  const unscaled = BigInt(significant + "0".repeat(shift));
  return sign === "-" ? -unscaled : unscaled;
}

/** A loop, since an expression looks again from each zero on: a text of a megabyte would take minutes. */
export function withoutZerosBehind(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 48) end -= 1;
  return digits.slice(0, end);
}

/** Of a text in a message. */
const shownMax = 60;

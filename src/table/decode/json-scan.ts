/**
 * JSON text straight into columns, without values in between: what most records are. Names are expected in the order of the
 * record before, texts are copied as bytes, numbers are read by hand where that is exact.
 *
 * A scan knows no errors. Whatever is not as plain as this (a field without a column, a value of another type, a name that
 * comes twice, broken text) ends it with false, and the general way (json-record.ts) reads the record from its beginning: what
 * becomes of such a record is said there alone.
 */
import { isUtf8 } from "node:buffer";
import {
  type ColumnNode,
  type LeafNode,
  type ListNode,
  putAbsent,
  putEmpty,
  type StructNode,
} from "../parquet/columns.ts";
import type { SourceType } from "../schema/schema-map-types.ts";
import { BadRecord } from "./bad-record.ts";
import { compileJson, type JsonSite } from "./json.ts";
import { jsonDepthMax, type NumberCare, parseJson } from "./json-text.ts";

/** Writes the text's object into one row. False: it is to be read the general way, after what was written is taken back. */
export type JsonScanPut = (text: Uint8Array, start: number) => boolean;

/** Of a record without casts and decimals, which want their digits as they were written. `care`: of what is parsed in it. */
export function compileJsonScan(
  node: StructNode,
  source: SourceType | undefined,
  site: JsonSite,
  care: NumberCare,
): JsonScanPut {
  const put = compileStruct(node, source, site);
  const scan = new Scan(care);
  return (text, start) => {
    scan.reset(text, start);
    site.misfits.count = 0;
    try {
      return put(scan, 0) && scan.isAtEnd() && site.misfits.count === 0;
    } catch (cause) {
      if (cause instanceof BadRecord) return false;
      throw cause;
    }
  };
}

/** Reads the value that the scan stands at. */
type Put = (scan: Scan, rep: number) => boolean;

function compileValue(node: ColumnNode, source: SourceType | undefined, site: JsonSite): Put {
  const put = compilePresent(node, source, site);
  return (scan, rep) => {
    if (scan.peek() !== code.n) return put(scan, rep);
    if (!scan.pass(words.null)) return false;
    putAbsent(node, rep);
    return true;
  };
}

function compilePresent(node: ColumnNode, source: SourceType | undefined, site: JsonSite): Put {
  if (node.kind === "struct") return compileStruct(node, source, site);
  if (node.kind === "list") return compileList(node, source, site);
  return (node.kind === "leaf" ? compileLeaf(node, source) : undefined) ?? compileOther(node, source, site);
}

/** Undefined for what deserves the general way: formats, Connect's types, JSON as text. */
function compileLeaf({ leaf }: LeafNode, source: SourceType | undefined): Put | undefined {
  if (source !== undefined && (source.kind !== "primitive" || source.isConnect === true)) return undefined;
  if (leaf.kind === "bytes" && leaf.shape.type === "string") {
    return (scan, rep) => {
      const start = scan.at + 1;
      const end = scan.passText();
      if (end >= 0) leaf.put(rep, scan.bytes, start, end);
      else if (scan.peek() === code.quote) leaf.putString(rep, String(scan.passValue()));
      else return false;
      return true;
    };
  }
  if (leaf.kind === "double") {
    return (scan, rep) => {
      const value = scan.passNumber();
      if (typeof value !== "number") return false;
      leaf.put(rep, value);
      return true;
    };
  }
  if (leaf.kind === "int64" && leaf.shape.type === "long") {
    return (scan, rep) => {
      const value = scan.passNumber();
      if (typeof value !== "number" || !Number.isSafeInteger(value)) return false;
      leaf.putNumber(rep, value);
      return true;
    };
  }
  if (leaf.kind !== "boolean") return undefined;
  return (scan, rep) => {
    const isTrue = scan.peek() === code.t;
    if (!scan.pass(isTrue ? words.true : words.false)) return false;
    leaf.put(rep, isTrue);
    return true;
  };
}

function compileOther(node: ColumnNode, source: SourceType | undefined, site: JsonSite): Put {
  const put = compileJson(node, source, site);
  return (scan, rep) => {
    put(scan.passValue(), rep);
    return true;
  };
}

function compileList(node: ListNode, source: SourceType | undefined, site: JsonSite): Put {
  const put = compileValue(node.element, source?.kind === "list" ? source.element : undefined, site);
  return (scan, rep) => {
    if (!scan.passByte(code.openBracket)) return false;
    if (scan.passByte(code.closeBracket)) {
      putEmpty(node, rep);
      return true;
    }
    if (!put(scan, rep)) return false;
    while (scan.passByte(code.comma)) if (!put(scan, node.rep)) return false;
    return scan.passByte(code.closeBracket);
  };
}

interface Field {
  /** In quotes, with the colon behind it. */
  readonly token: Uint8Array;
  /** Among the columns; behind them all for values that nobody wants. */
  readonly at: number;
  readonly put: Put;
  /** What followed it last. */
  next: Field | undefined;
}

const passOver: Put = (scan) => {
  scan.passValue();
  return true;
};

/** Without a column there is a place for null alone. */
const passNull: Put = (scan) => scan.peek() === code.n && scan.pass(words.null);

/** A struct's fields, as they are met. */
class Fields {
  readonly columns: readonly ColumnNode[];
  readonly #node: StructNode;
  readonly #sources: ReadonlyMap<string, SourceType>;
  readonly #site: JsonSite;
  readonly #byName = new Map<string, Field>();

  constructor(node: StructNode, source: SourceType | undefined, site: JsonSite) {
    this.#node = node;
    this.#site = site;
    this.columns = node.fields.map((field) => field.node);
    this.#sources = new Map(source?.kind === "struct" ? source.fields.map((field) => [field.name, field.type]) : []);
  }

  named(name: string): Field {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const { bound } = this.#site;
    const column = bound(this.#node, name);
    const hasPlace = column !== undefined || bound.isExcluded(this.#node, name);
    const field: Field = {
      token: new TextEncoder().encode(`"${name}":`),
      at: column === undefined ? this.columns.length : this.columns.indexOf(column),
      put: column !== undefined ? this.#compile(name, column) : hasPlace ? passOver : passNull,
      next: undefined,
    };
    if (hasPlace) this.#byName.set(name, field); // Names without a place may come without end.
    return field;
  }

  #compile(name: string, column: ColumnNode): Put {
    return compileValue(column, this.#sources.get(name), this.#site);
  }
}

function compileStruct(node: StructNode, source: SourceType | undefined, site: JsonSite): Put {
  const fields = new Fields(node, source, site);
  const { columns } = fields;
  const before: Field = { token: new Uint8Array(0), at: -1, put: () => false, next: undefined };
  const writtenAt = new Float64Array(columns.length + 1); // By which call; a double counts further than any process runs.
  let call = 0;
  return (scan, rep) => {
    if (!scan.passByte(code.openBrace)) return false;
    call += 1;
    let last = before;
    if (!scan.passByte(code.closeBrace)) {
      do {
        const field = passField(scan, last, fields);
        if (field === undefined) return false;
        const isAgain = writtenAt[field.at] === call && field.at < columns.length;
        if (isAgain || !field.put(scan, rep)) return false; // Of a name that comes twice the last counts.
        writtenAt[field.at] = call;
        last = field;
      } while (scan.passByte(code.comma));
      if (!scan.passByte(code.closeBrace)) return false;
    }
    for (let at = 0; at < columns.length; at += 1) {
      const column = columns[at] as ColumnNode;
      if (writtenAt[at] !== call && !column.required) putAbsent(column, rep);
    }
    return true;
  };
}

/** Passes a name with its colon. Undefined where there is none. */
function passField(scan: Scan, last: Field, fields: Fields): Field | undefined {
  const expected = last.next;
  scan.peek();
  if (expected !== undefined && scan.pass(expected.token)) return expected;
  const name = scan.passName();
  if (name === undefined) return undefined;
  last.next = fields.named(name);
  return last.next;
}

const code = {
  quote: 0x22,
  comma: 0x2c,
  minus: 0x2d,
  point: 0x2e,
  zero: 0x30,
  colon: 0x3a,
  e: 0x65,
  openBracket: 0x5b,
  backslash: 0x5c,
  closeBracket: 0x5d,
  n: 0x6e,
  t: 0x74,
  openBrace: 0x7b,
  closeBrace: 0x7d,
} as const;

const words = {
  null: new TextEncoder().encode("null"),
  true: new TextEncoder().encode("true"),
  false: new TextEncoder().encode("false"),
};

/** Quotients of two doubles that are exact are the nearest double: digits below 2^53 by a power of ten below 10^22. */
const powersOfTen = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);
const fractionDigitsMax = 15;
const integerDigitsMax = 16;

/** Each `pass` moves behind what it was asked for, or stays where it is. Borrowed bytes. */
class Scan {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  #start = 0;
  #end = 0;
  /** All bytes of texts that were passed, one over the other. */
  #seen = 0;
  readonly #care: NumberCare;

  constructor(care: NumberCare) {
    this.#care = care;
  }

  reset(bytes: Uint8Array, start: number): void {
    this.bytes = bytes;
    this.at = start;
    this.#start = start;
    this.#end = bytes.length;
    this.#seen = 0;
  }

  /** Nothing follows, and all that was copied is text. */
  isAtEnd(): boolean {
    return this.peek() === -1 && (this.#seen < 128 || isUtf8(this.bytes.subarray(this.#start)));
  }

  /** Passes blanks and gives the byte behind them; -1 at the end. */
  peek(): number {
    const { bytes } = this;
    while (this.at < this.#end) {
      const byte = bytes[this.at] as number;
      if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return byte;
      this.at += 1;
    }
    return -1;
  }

  passByte(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at += 1;
    return true;
  }

  pass(token: Uint8Array): boolean {
    const { bytes, at } = this;
    if (this.#end - at < token.length) return false;
    for (let index = 0; index < token.length; index += 1) if (bytes[at + index] !== token[index]) return false;
    this.at = at + token.length;
    return true;
  }

  /** A name and its colon; undefined where there is none, or one with escapes. */
  passName(): string | undefined {
    if (this.peek() !== code.quote) return undefined;
    const start = this.at + 1;
    const end = this.passText();
    if (end < 0 || !this.passByte(code.colon)) return undefined;
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, end - start).toString("utf8");
  }

  /** Where the text ends that the scan stands before; -1 for no text, or one with escapes. */
  passText(): number {
    const { bytes } = this;
    const end = this.#end;
    let at = this.at;
    if (bytes[at] !== code.quote) return -1;
    let seen = 0;
    for (at += 1; at < end; at += 1) {
      const byte = bytes[at] as number;
      if (byte === code.quote) {
        this.#seen |= seen;
        this.at = at + 1;
        return at;
      }
      if (byte === code.backslash || byte < 0x20) return -1;
      seen |= byte;
    }
    return -1;
  }

  /** Undefined for no number, and for an integer beyond 2^53. */
  passNumber(): number | undefined {
    const { bytes } = this;
    const isNegative = bytes[this.at] === code.minus;
    const first = this.at + (isNegative ? 1 : 0);
    let at = first;
    let digits = 0;
    for (; isDigit(bytes[at]); at += 1) digits = digits * 10 + ((bytes[at] as number) - code.zero);
    const length = at - first;
    let fraction = 0;
    if (bytes[at] === code.point) {
      for (at += 1; isDigit(bytes[at]); at += 1) digits = digits * 10 + ((bytes[at] as number) - code.zero);
      fraction = at - first - length - 1;
      if (fraction === 0) return undefined;
    }
    if (length === 0 || at > this.#end || (length > 1 && bytes[first] === code.zero)) return undefined;
    const isExact =
      fraction === 0
        ? length <= integerDigitsMax && digits <= Number.MAX_SAFE_INTEGER
        : length + fraction <= fractionDigitsMax;
    if (!isExact || ((bytes[at] as number) | 0x20) === code.e) return this.#passLongNumber();
    this.at = at;
    const value = fraction === 0 ? digits : digits / (powersOfTen[fraction] as number);
    return isNegative ? -value : value;
  }

  #passLongNumber(): number | undefined {
    const value = this.passValue();
    return typeof value === "number" ? value : undefined;
  }

  /** Any value, the general way. Throws BadRecord. */
  passValue(): unknown {
    this.peek();
    const start = this.at;
    this.at = this.#valueEnd();
    const text = Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, this.at - start);
    this.#seen |= 128; // Whether it is text is asked of the whole.
    return parseJson(text.toString("utf8"), this.#care);
  }

  /** If what follows is a value, it ends there. */
  #valueEnd(): number {
    const { bytes } = this;
    let depth = 0;
    let isText = false;
    for (let at = this.at; at < this.#end; at += 1) {
      const byte = bytes[at] as number;
      if (byte === code.quote) {
        isText = !isText;
        if (!isText && depth === 0) return at + 1;
      } else if (isText) {
        if (byte === code.backslash) at += 1;
      } else if (byte === code.openBrace || byte === code.openBracket) {
        depth += 1;
        if (depth > scannedDepthMax) throw new BadRecord("malformed", "too deep for a scan");
      } else if (byte === code.closeBrace || byte === code.closeBracket) {
        if (depth === 0) return at;
        depth -= 1;
        if (depth === 0) return at + 1;
      } else if (depth === 0 && (byte === code.comma || byte <= 0x20)) return at;
    }
    return this.#end;
  }
}

/** What is deeper is left to the general way, which counts from the top. */
const scannedDepthMax = jsonDepthMax / 2;

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

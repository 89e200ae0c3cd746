/**
 * Messages are declared once, with the versions of each field, and compiled at first use: one reader and one writer a
 * message, plain code with a branch where versions differ (2 to 5 times faster than walking the declaration).
 *
 *   const heartbeat = message({
 *     name: "HeartbeatRequest", versions: [0, 4], flexible: 4,
 *     fields: { groupId: string, generationId: int32, groupInstanceId: since(3, nullable(string), null) },
 *   });
 *   type Heartbeat = Infer<typeof heartbeat>;          // what decoding gives
 *   type HeartbeatInput = InferInput<typeof heartbeat>; // what encoding takes: fields with a default may be left out
 *
 * The order of the keys is the order on the wire. From version `flexible` on, lengths are varints (0 for null, else one
 * more) and every struct ends with tagged fields: count, then (tag, size, bytes) each. Unknown tags are skipped.
 */
import { ByteReader, ByteWriter, type ReaderOptions } from "./bytes.ts";
import { compileReader, compileStepWriter, compileWriter } from "./codec-compiler.ts";
import type { Field, Fields, Fixed, Shape, Sized, Type } from "./codec-shape.ts";
import type { Elements } from "./elements.ts";
import { assert } from "./errors.ts";
import type { Uuid } from "./ids.ts";

export type Infer<M> = M extends Type<infer T, infer _I> ? T : never;
export type InferInput<M> = M extends Type<infer _T, infer I> ? I : never;

type Flat<T> = { [K in keyof T]: T[K] };
type ValueOf<F extends Fields> = { readonly [K in keyof F]: Infer<F[K]> };
type Defaulted<F extends Fields> = {
  [K in keyof F]: F[K] extends { readonly from: number } ? K : never;
}[keyof F];
type InputOf<F extends Fields> = Flat<
  { readonly [K in Exclude<keyof F, Defaulted<F>>]: InferInput<F[K]> } & {
    readonly [K in Defaulted<F>]?: InferInput<F[K]> | undefined;
  }
>;

const fixed = <T>(of: Fixed): Type<T> => ({ shape: { kind: "fixed", of } });
const sized = <T>(of: Sized): Type<T> => ({ shape: { kind: "sized", of } });

export const boolean = fixed<boolean>("boolean");
export const int8 = fixed<number>("int8");
export const int16 = fixed<number>("int16");
export const uint16 = fixed<number>("uint16");
export const int32 = fixed<number>("int32");
export const uint32 = fixed<number>("uint32");
/** A number; beyond ±2^53 the bytes are corrupt. */
export const int64 = fixed<number>("int64");
/** A number; beyond ±2^53 the nearest safe one. For what clients may legally set that far, meaning "all". */
export const int64Clamped = fixed<number>("int64Clamped");
export const int64big = fixed<bigint>("int64Big");
export const float64 = fixed<number>("float64");
export const uuid = fixed<Uuid>("uuid");
/** At most 32767 bytes of UTF-8, in every version. */
export const string = sized<string>("string");
/** Read as a view of the input: borrowed. */
export const bytes = sized<Uint8Array>("bytes");
/** Record batches, not looked into. A view of the input: borrowed. */
export const records = sized<Uint8Array>("records");
/** Record batches gathered from many places, written without joining them. Read as a list of one view. */
export const recordViews = sized<readonly Uint8Array[]>("recordViews");

export function array<T, I>(element: Type<T, I>): Type<readonly T[], readonly I[]> {
  return { shape: { kind: "array", element } };
}

/** An array that may be so long that its elements are better made while they are written. */
export function list<T, I>(element: Type<T, I>): Type<readonly T[], Elements<I>> {
  return { shape: { kind: "array", element } };
}

export function struct<const F extends Fields>(fields: F): Type<ValueOf<F>, InputOf<F>> {
  return { shape: { kind: "struct", fields } };
}

export function nullable<T, I>(of: Type<T, I>): Type<T | null, I | null> {
  return nullableSince(0, of);
}

/** Null from the version on; in older ones null cannot be said. */
export function nullableSince<T, I>(since: number, of: Type<T, I>): Type<T | null, I | null> {
  return { shape: { kind: "nullable", of, since } };
}

export function since<T, I>(from: number, of: Type<T, I>, byDefault: NoInfer<T>): Field<T, I> {
  return between(from, Number.POSITIVE_INFINITY, of, byDefault);
}

export function until<T, I>(to: number, of: Type<T, I>, byDefault: NoInfer<T>): Field<T, I> {
  return between(0, to, of, byDefault);
}

/** In versions `from` to `to`, both included. */
export function between<T, I>(from: number, to: number, of: Type<T, I>, byDefault: NoInfer<T>): Field<T, I> {
  return { shape: of.shape, from, to, tag: undefined, default: byDefault };
}

/** In every version, but may be left out when writing. */
export function optional<T, I>(of: Type<T, I>, byDefault: NoInfer<T>): Field<T, I> {
  return since(0, of, byDefault);
}

/** Written only when it differs from the default. Tags exist in flexible versions only. */
export function tagged<T, I>(tag: number, from: number, of: Type<T, I>, byDefault: NoInfer<T>): Field<T, I> {
  return { shape: of.shape, from, to: Number.POSITIVE_INFINITY, tag, default: byDefault };
}

export interface Declaration<F extends Fields> {
  readonly name: string;
  /** The lowest and the highest version. */
  readonly versions: readonly [min: number, max: number];
  /** The first version with compact lengths and tagged fields; undefined when there is none. */
  readonly flexible: number | undefined;
  readonly fields: F;
}

export interface Message<T, I = T> extends Type<T, I> {
  readonly name: string;
  readonly versions: readonly [min: number, max: number];
  readonly flexible: number | undefined;
  /** Reads one message where the reader stands. Byte strings are views of its input. */
  read(reader: ByteReader, version: number): T;
  /** Large byte strings are kept by reference until the writer's views have been used. */
  write(writer: ByteWriter, version: number, message: I): void;
  /** The same in steps: between two of them others may have their turn. What the message holds must not change meanwhile. */
  writeInSteps(writer: ByteWriter, version: number, message: I): Iterable<void>;
  /** The bytes are one message and nothing else. */
  decode(bytes: Uint8Array, version: number, options?: Partial<ReaderOptions>): T;
  encode(message: I, version: number): Uint8Array;
}

export function message<const F extends Fields>(declaration: Declaration<F>): Message<ValueOf<F>, InputOf<F>> {
  return new CompiledMessage<ValueOf<F>, InputOf<F>>(declaration);
}

class CompiledMessage<T, I> implements Message<T, I> {
  readonly name: string;
  readonly versions: readonly [min: number, max: number];
  readonly flexible: number | undefined;
  readonly shape: Shape;
  #reader: ((reader: ByteReader, version: number) => unknown) | undefined;
  #writer: ((writer: ByteWriter, version: number, message: unknown) => void) | undefined;
  #stepWriter: ((writer: ByteWriter, version: number, message: unknown) => Iterable<void>) | undefined;

  constructor(declaration: Declaration<Fields>) {
    assert(declaration.versions[0] <= declaration.versions[1], `${declaration.name} has no version`);
    this.name = declaration.name;
    this.versions = declaration.versions;
    this.flexible = declaration.flexible;
    this.shape = { kind: "struct", fields: declaration.fields };
  }

  read(reader: ByteReader, version: number): T {
    const [min, max] = this.versions;
    if (version < min || version > max) reader.corrupt(`${this.name} version ${min} to ${max}`, `${version}`);
    this.#reader ??= compileReader(this);
    return this.#reader(reader, version) as T;
  }

  write(writer: ByteWriter, version: number, message: I): void {
    this.#requireVersion(version);
    this.#writer ??= compileWriter(this);
    this.#writer(writer, version, message);
  }

  writeInSteps(writer: ByteWriter, version: number, message: I): Iterable<void> {
    this.#requireVersion(version);
    this.#stepWriter ??= compileStepWriter(this);
    return this.#stepWriter(writer, version, message);
  }

  decode(bytes: Uint8Array, version: number, options: Partial<ReaderOptions> = {}): T {
    const reader = new ByteReader(bytes, { source: this.name, ...options });
    const decoded = this.read(reader, version);
    if (reader.remaining > 0) reader.corrupt(`the end of ${this.name}`, `${reader.remaining} more bytes`);
    return decoded;
  }

  encode(message: I, version: number): Uint8Array {
    const writer = new ByteWriter();
    this.write(writer, version, message);
    return writer.toBytes();
  }

  #requireVersion(version: number): void {
    assert(version >= this.versions[0] && version <= this.versions[1], `${this.name} has no version ${version}`);
  }
}

/** Whether an Avro reader's schema can resolve what a writer's wrote: the rules of schema resolution, as Java's SchemaCompatibility applies them. */
import {
  type AvroEnum,
  type AvroField,
  type AvroNamed,
  type AvroRecord,
  type AvroType,
  type AvroUnion,
  fullName,
  isNamed,
} from "./avro-schema.ts";
import { ComparedPairs } from "./compared-pairs.ts";
import type { Incompatibility } from "./compatibility.ts";
import { Effort, TooComplex } from "./effort.ts";

/** [] when the reader can. */
export function avroIncompatibilities(reader: AvroType, writer: AvroType): readonly Incompatibility[] {
  try {
    return new Resolution().check(reader, writer, "");
  } catch (cause) {
    if (!(cause instanceof TooComplex)) throw cause;
    return [{ type: "SCHEMA_TOO_COMPLEX", path: "/", detail: "there are too many pairs of types to compare" }];
  }
}

/** Pairs of types, fields and symbols in one comparison: of two unions each branch may meet each. */
const stepsMax = 1_000_000;

/** Writer's type → types that may read it. */
const promotions: Readonly<Record<string, readonly string[]>> = {
  int: ["long", "float", "double"],
  long: ["float", "double"],
  float: ["double"],
  string: ["bytes"],
  bytes: ["string"],
};

class Resolution {
  readonly #pairs = new ComparedPairs<AvroNamed, AvroType>();
  readonly #effort = new Effort(stepsMax);

  check(reader: AvroType, writer: AvroType, path: string): readonly Incompatibility[] {
    this.#effort.spend(1);
    const compare = (): readonly Incompatibility[] => this.#checkKinds(reader, writer, path);
    return isNamed(reader) ? this.#pairs.compare(reader, writer, compare) : compare();
  }

  #checkKinds(reader: AvroType, writer: AvroType, path: string): readonly Incompatibility[] {
    if (writer.kind === "union") return this.#writerUnion(reader, writer, path);
    if (reader.kind === "union") return this.#readerUnion(reader, writer, path);
    if (reader.kind !== writer.kind) {
      if (promotions[writer.kind]?.includes(reader.kind) === true) return [];
      return [{ type: "TYPE_MISMATCH", path, detail: `${reader.kind} cannot read ${writer.kind}` }];
    }
    return this.#sameKind(reader, writer, path);
  }

  #sameKind(reader: AvroType, writer: AvroType, path: string): readonly Incompatibility[] {
    if (reader.kind === "array" && writer.kind === "array")
      return this.check(reader.items, writer.items, `${path}/items`);
    if (reader.kind === "map" && writer.kind === "map")
      return this.check(reader.values, writer.values, `${path}/values`);
    if (!isNamed(reader) || !isNamed(writer)) return [];
    const name = sameName(reader, writer)
      ? []
      : [{ type: "NAME_MISMATCH", path: `${path}/name`, detail: `${fullName(reader)} is not ${fullName(writer)}` }];
    if (reader.kind === "record" && writer.kind === "record") return [...name, ...this.#fields(reader, writer, path)];
    if (reader.kind === "enum" && writer.kind === "enum") {
      this.#effort.spend(reader.symbols.length + writer.symbols.length);
      return [...name, ...missingSymbols(reader, writer, path)];
    }
    if (reader.kind === "fixed" && writer.kind === "fixed" && reader.size !== writer.size)
      return [
        ...name,
        {
          type: "FIXED_SIZE_MISMATCH",
          path: `${path}/size`,
          detail: `expected: ${reader.size}, found: ${writer.size}`,
        },
      ];
    return name;
  }

  #fields(reader: AvroRecord, writer: AvroRecord, path: string): readonly Incompatibility[] {
    this.#effort.spend(reader.fields.length + writer.fields.length);
    const places = new Map(writer.fields.map(({ name }, place) => [name, place]));
    return reader.fields.flatMap((field, index) => {
      const at = `${path}/fields/${index}`;
      const source = writer.fields[placeOf(field, places)];
      if (source !== undefined) return this.check(field.type, source.type, `${at}/type`);
      // An enum's own default stands in for the field's (Avro 1.9).
      const hasDefault =
        field.default !== undefined || (field.type.kind === "enum" && field.type.default !== undefined);
      return hasDefault ? [] : [{ type: "READER_FIELD_MISSING_DEFAULT_VALUE", path: at, detail: field.name }];
    });
  }

  /** Each branch must be readable: any of them may have been written. */
  #writerUnion(reader: AvroType, writer: AvroUnion, path: string): readonly Incompatibility[] {
    return writer.branches.flatMap((branch, index) => {
      if (reader.kind !== "union") return this.check(reader, branch, path);
      return this.#readerUnion(reader, branch, `${path}/${index}`);
    });
  }

  #readerUnion(reader: AvroUnion, writer: AvroType, path: string): readonly Incompatibility[] {
    const canRead = (branch: AvroType): boolean => this.#pairs.holds(() => this.check(branch, writer, path));
    if (reader.branches.some(canRead)) return [];
    const name = isNamed(writer) ? fullName(writer) : writer.kind;
    return [{ type: "MISSING_UNION_BRANCH", path, detail: `reader union lacking writer type: ${name.toUpperCase()}` }];
  }
}

/** Java compares the names without their namespaces, or the writer's full name with the reader's aliases. */
function sameName(reader: AvroNamed, writer: AvroNamed): boolean {
  return reader.name === writer.name || reader.aliases.includes(fullName(writer));
}

/** Among the writer's fields: by the name, or the first that has one of the aliases. -1 when there is none. */
function placeOf({ name, aliases }: AvroField, places: ReadonlyMap<string, number>): number {
  const found = [places.get(name) ?? aliases.flatMap((alias) => places.get(alias) ?? [])].flat();
  return found.length === 0 ? -1 : found.reduce((first, place) => Math.min(first, place));
}

function missingSymbols(reader: AvroEnum, writer: AvroEnum, path: string): readonly Incompatibility[] {
  const known = new Set(reader.symbols);
  const missing = writer.symbols.filter((symbol) => !known.has(symbol));
  if (missing.length === 0 || reader.default !== undefined) return [];
  return [{ type: "MISSING_ENUM_SYMBOLS", path: `${path}/symbols`, detail: `[${missing.join(", ")}]` }];
}

/**
 * What Confluent's `field_meta` says of fields, as Kafka Connect's and Flink's converters write it:
 *
 *   confluent.type.Decimal price = 1 [(confluent.field_meta) = { params: [{ key: "scale", value: "2" }] }];
 *                                    [(confluent.field_meta).params = { key: "scale", value: "2" }]
 */
import { unquoted } from "./protobuf-custom-options.ts";
import { inlineOptions, type OptionValue, type ProtobufOption, readOption } from "./protobuf-options.ts";
import type { ProtobufStatement } from "./protobuf-text.ts";

export type FieldParams = ReadonlyMap<string, string>;

/** By the field's full name; what says nothing is not there. `scope`: the package, or the message around. */
export function fieldParams(
  statements: readonly ProtobufStatement[],
  scope: string,
): readonly (readonly [field: string, params: FieldParams])[] {
  return statements.flatMap(({ words, body }) => {
    if (body === undefined) {
      const params = paramsOf(words);
      return params.size === 0 ? [] : [[within(scope, words[words.indexOf("=") - 1] ?? ""), params] as const];
    }
    if (words[0] === "oneof") return fieldParams(body, scope);
    const group = words.indexOf("group");
    const name = words[0] === "message" ? words[1] : group < 0 ? undefined : words[group + 1];
    return name === undefined ? [] : fieldParams(body, within(scope, name));
  });
}

function within(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}

function paramsOf(words: readonly string[]): FieldParams {
  const entries = inlineOptions(words)
    .map(readOption)
    .flatMap((option) => (option === undefined || !isMeta(option) ? [] : paramEntries(option)));
  return new Map(entries);
}

function isMeta({ name, isCustom }: ProtobufOption): boolean {
  return isCustom && /^\.?confluent\.field_meta$/.test(name);
}

function paramEntries({ path, value }: ProtobufOption): readonly (readonly [string, string])[] {
  const [member, ...others] = path;
  const params = member === undefined ? memberOf(value, "params") : member === "params" ? value : undefined;
  if (params === undefined || others.length > 0) return [];
  return (Array.isArray(params) ? params : [params]).flatMap((entry: OptionValue) => {
    const [key, text] = [memberOf(entry, "key"), memberOf(entry, "value")];
    return typeof key === "string" && typeof text === "string" ? [[unquoted(key), unquoted(text)] as const] : [];
  });
}

function memberOf(value: OptionValue, name: string): OptionValue | undefined {
  return value instanceof Map ? (value.get(name) as OptionValue | undefined) : undefined;
}

/** Files that every .proto file may import without a reference: Google's well-known and common types, and Confluent's own. */

const file = (packageName: string, ...statements: readonly string[]): string =>
  `syntax = "proto3"; package ${packageName}; ${statements.join(" ")}`;

const google = "google.protobuf";

const wrapped = ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"] as const;

/** By the path of their import. google/protobuf/descriptor.proto comes with the parser. */
export const protobufBuiltIns: ReadonlyMap<string, string> = new Map([
  ["google/protobuf/any.proto", file(google, "message Any { string type_url = 1; bytes value = 2; }")],
  ["google/protobuf/duration.proto", file(google, "message Duration { int64 seconds = 1; int32 nanos = 2; }")],
  ["google/protobuf/empty.proto", file(google, "message Empty {}")],
  ["google/protobuf/field_mask.proto", file(google, "message FieldMask { repeated string paths = 1; }")],
  ["google/protobuf/source_context.proto", file(google, "message SourceContext { string file_name = 1; }")],
  ["google/protobuf/timestamp.proto", file(google, "message Timestamp { int64 seconds = 1; int32 nanos = 2; }")],
  [
    "google/protobuf/struct.proto",
    file(
      google,
      "message Struct { map<string, Value> fields = 1; }",
      "message Value { oneof kind { NullValue null_value = 1; double number_value = 2; string string_value = 3; bool bool_value = 4; Struct struct_value = 5; ListValue list_value = 6; } }",
      "enum NullValue { NULL_VALUE = 0; }",
      "message ListValue { repeated Value values = 1; }",
    ),
  ],
  [
    "google/protobuf/wrappers.proto",
    file(google, ...wrapped.map((name) => `message ${name}Value { ${name.toLowerCase()} value = 1; }`)),
  ],
  ["google/type/date.proto", file("google.type", "message Date { int32 year = 1; int32 month = 2; int32 day = 3; }")],
  [
    "google/type/timeofday.proto",
    file(
      "google.type",
      "message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }",
    ),
  ],
  ["google/type/latlng.proto", file("google.type", "message LatLng { double latitude = 1; double longitude = 2; }")],
  [
    "google/type/money.proto",
    file("google.type", "message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }"),
  ],
  ["google/type/decimal.proto", file("google.type", "message Decimal { string value = 1; }")],
  [
    "google/type/dayofweek.proto",
    file(
      "google.type",
      "enum DayOfWeek { DAY_OF_WEEK_UNSPECIFIED = 0; MONDAY = 1; TUESDAY = 2; WEDNESDAY = 3; THURSDAY = 4; FRIDAY = 5; SATURDAY = 6; SUNDAY = 7; }",
    ),
  ],
  [
    "confluent/type/decimal.proto",
    file("confluent.type", "message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"),
  ],
  ["confluent/type/variant.proto", file("confluent.type", "message Variant { bytes metadata = 1; bytes value = 2; }")],
  [
    "confluent/meta.proto",
    file(
      "confluent",
      'import "google/protobuf/descriptor.proto";',
      "message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; repeated Rule rules = 4; }",
      "message Rule { string name = 1; string doc = 2; string expr = 3; string sql = 4; }",
      ...["File", "Message", "Field", "Enum", "EnumValue"].map(
        (of) =>
          `extend google.protobuf.${of}Options { Meta ${of === "EnumValue" ? "enum_value" : of.toLowerCase()}_meta = 1088; }`,
      ),
    ),
  ],
]);

/** Files that every .proto file may import without a reference: Google's well-known and common types, and Confluent's own. */

const file = (packageName: string, ...statements: readonly string[]): string =>
  `syntax = "proto3"; package ${packageName}; ${statements.join(" ")}`;

/** Its fields are numbered from 1. */
const message = (name: string, ...fields: readonly string[]): string =>
  `message ${name} { ${fields.map((field, index) => `${field} = ${index + 1};`).join(" ")} }`;

/** Its values are numbered from 0. */
const values = (name: string, ...names: readonly string[]): string =>
  `enum ${name} { ${names.map((each, index) => `${each} = ${index};`).join(" ")} }`;

const google = "google.protobuf";
const common = "google.type";

/** google.protobuf.Field's, in the order of their numbers. */
const kinds =
  "UNKNOWN DOUBLE FLOAT INT64 UINT64 INT32 FIXED64 FIXED32 BOOL STRING GROUP MESSAGE BYTES UINT32 ENUM SFIXED32 SFIXED64 SINT32 SINT64";
const periods = "CALENDAR_PERIOD_UNSPECIFIED DAY WEEK FORTNIGHT MONTH QUARTER HALF YEAR";
const months =
  "MONTH_UNSPECIFIED JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER";

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
  [
    "google/protobuf/type.proto",
    file(
      google,
      'import "google/protobuf/any.proto"; import "google/protobuf/source_context.proto";',
      message(
        "Type",
        "string name",
        "repeated Field fields",
        "repeated string oneofs",
        "repeated Option options",
        "SourceContext source_context",
        "Syntax syntax",
        "string edition",
      ),
      "message Field { Kind kind = 1; Cardinality cardinality = 2; int32 number = 3; string name = 4; string type_url = 6; int32 oneof_index = 7;",
      "bool packed = 8; repeated Option options = 9; string json_name = 10; string default_value = 11;",
      values("Kind", ...kinds.split(" ").map((name) => `TYPE_${name}`)),
      values("Cardinality", ...["UNKNOWN", "OPTIONAL", "REQUIRED", "REPEATED"].map((name) => `CARDINALITY_${name}`)),
      "}",
      message(
        "Enum",
        "string name",
        "repeated EnumValue enumvalue",
        "repeated Option options",
        "SourceContext source_context",
        "Syntax syntax",
        "string edition",
      ),
      message("EnumValue", "string name", "int32 number", "repeated Option options"),
      message("Option", "string name", "Any value"),
      values("Syntax", "SYNTAX_PROTO2", "SYNTAX_PROTO3", "SYNTAX_EDITIONS"),
    ),
  ],
  [
    "google/protobuf/api.proto",
    file(
      google,
      'import "google/protobuf/source_context.proto"; import "google/protobuf/type.proto";',
      message(
        "Api",
        "string name",
        "repeated Method methods",
        "repeated Option options",
        "string version",
        "SourceContext source_context",
        "repeated Mixin mixins",
        "Syntax syntax",
        "string edition",
      ),
      message(
        "Method",
        "string name",
        "string request_type_url",
        "bool request_streaming",
        "string response_type_url",
        "bool response_streaming",
        "repeated Option options",
        "Syntax syntax",
        "string edition",
      ),
      message("Mixin", "string name", "string root"),
    ),
  ],
  ["google/type/date.proto", file(common, "message Date { int32 year = 1; int32 month = 2; int32 day = 3; }")],
  [
    "google/type/timeofday.proto",
    file(common, "message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }"),
  ],
  ["google/type/latlng.proto", file(common, "message LatLng { double latitude = 1; double longitude = 2; }")],
  [
    "google/type/money.proto",
    file(common, "message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }"),
  ],
  ["google/type/decimal.proto", file(common, "message Decimal { string value = 1; }")],
  [
    "google/type/dayofweek.proto",
    file(
      common,
      "enum DayOfWeek { DAY_OF_WEEK_UNSPECIFIED = 0; MONDAY = 1; TUESDAY = 2; WEDNESDAY = 3; THURSDAY = 4; FRIDAY = 5; SATURDAY = 6; SUNDAY = 7; }",
    ),
  ],
  ["google/type/calendar_period.proto", file(common, values("CalendarPeriod", ...periods.split(" ")))],
  [
    "google/type/color.proto",
    file(
      common,
      'import "google/protobuf/wrappers.proto";',
      message("Color", "float red", "float green", "float blue", "google.protobuf.FloatValue alpha"),
    ),
  ],
  [
    "google/type/datetime.proto",
    file(
      common,
      'import "google/protobuf/duration.proto";',
      "message DateTime { int32 year = 1; int32 month = 2; int32 day = 3; int32 hours = 4; int32 minutes = 5; int32 seconds = 6; int32 nanos = 7;",
      "oneof time_offset { google.protobuf.Duration utc_offset = 8; TimeZone time_zone = 9; } }",
      message("TimeZone", "string id", "string version"),
    ),
  ],
  [
    "google/type/expr.proto",
    file(common, message("Expr", "string expression", "string title", "string description", "string location")),
  ],
  ["google/type/fraction.proto", file(common, message("Fraction", "int64 numerator", "int64 denominator"))],
  [
    "google/type/interval.proto",
    file(
      common,
      'import "google/protobuf/timestamp.proto";',
      message("Interval", "google.protobuf.Timestamp start_time", "google.protobuf.Timestamp end_time"),
    ),
  ],
  ["google/type/month.proto", file(common, values("Month", ...months.split(" ")))],
  [
    "google/type/phone_number.proto",
    file(
      common,
      `message PhoneNumber { ${message("ShortCode", "string region_code", "string number")}`,
      "oneof kind { string e164_number = 1; ShortCode short_code = 2; } string extension = 3; }",
    ),
  ],
  [
    "google/type/postal_address.proto",
    file(
      common,
      message(
        "PostalAddress",
        "int32 revision",
        "string region_code",
        "string language_code",
        "string postal_code",
        "string sorting_code",
        "string administrative_area",
        "string locality",
        "string sublocality",
        "repeated string address_lines",
        "repeated string recipients",
        "string organization",
      ),
    ),
  ],
  ["google/type/quaternion.proto", file(common, message("Quaternion", "double x", "double y", "double z", "double w"))],
  ["confluent/type/variant.proto", file("confluent.type", message("Variant", "bytes metadata", "bytes value"))],
  [
    "confluent/type/decimal.proto",
    file("confluent.type", "message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"),
  ],
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

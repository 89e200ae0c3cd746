/** Quotas of users, client ids and addresses. */
import {
  array,
  boolean,
  float64,
  int8,
  int16,
  int32,
  message,
  nullable,
  optional,
  string,
  struct,
} from "../../src/base/codec.ts";

/** `entityName` null: the default of its type. */
const entity = array(struct({ entityType: string, entityName: nullable(string) }));

export const describeClientQuotasRequest = message({
  name: "DescribeClientQuotasRequest",
  versions: [0, 1],
  flexible: 1,
  fields: {
    components: array(struct({ entityType: string, matchType: int8, match: nullable(string) })),
    strict: boolean,
  },
});

export const describeClientQuotasResponse = message({
  name: "DescribeClientQuotasResponse",
  versions: [0, 1],
  flexible: 1,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: nullable(string),
    entries: nullable(array(struct({ entity, values: array(struct({ key: string, value: float64 })) }))),
  },
});

export const alterClientQuotasRequest = message({
  name: "AlterClientQuotasRequest",
  versions: [0, 1],
  flexible: 1,
  fields: {
    entries: array(struct({ entity, ops: array(struct({ key: string, value: float64, remove: boolean })) })),
    validateOnly: boolean,
  },
});

export const alterClientQuotasResponse = message({
  name: "AlterClientQuotasResponse",
  versions: [0, 1],
  flexible: 1,
  fields: {
    throttleTimeMs: optional(int32, 0),
    entries: array(struct({ errorCode: int16, errorMessage: nullable(string), entity })),
  },
});

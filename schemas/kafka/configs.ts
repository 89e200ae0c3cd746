/** Settings of topics and brokers. */
import {
  array,
  boolean,
  int8,
  int16,
  int32,
  list,
  message,
  nullable,
  optional,
  since,
  string,
  struct,
} from "../../src/base/codec.ts";

export const describeConfigsRequest = message({
  name: "DescribeConfigsRequest",
  versions: [1, 4],
  flexible: 4,
  fields: {
    resources: array(
      struct({
        resourceType: int8,
        resourceName: string,
        configurationKeys: nullable(array(string)),
      }),
    ),
    includeSynonyms: optional(boolean, false),
    includeDocumentation: since(3, boolean, false),
  },
});

export const describeConfigsResponse = message({
  name: "DescribeConfigsResponse",
  versions: [1, 4],
  flexible: 4,
  fields: {
    throttleTimeMs: optional(int32, 0),
    results: list(
      struct({
        errorCode: int16,
        errorMessage: nullable(string),
        resourceType: int8,
        resourceName: string,
        configs: array(
          struct({
            name: string,
            value: nullable(string),
            readOnly: boolean,
            configSource: optional(int8, -1),
            isSensitive: boolean,
            synonyms: array(
              struct({
                name: string,
                value: nullable(string),
                source: int8,
              }),
            ),
            configType: since(3, int8, 0),
            documentation: since(3, nullable(string), ""),
          }),
        ),
      }),
    ),
  },
});

export const incrementalAlterConfigsRequest = message({
  name: "IncrementalAlterConfigsRequest",
  versions: [0, 1],
  flexible: 1,
  fields: {
    resources: array(
      struct({
        resourceType: int8,
        resourceName: string,
        configs: array(
          struct({
            name: string,
            configOperation: int8,
            value: nullable(string),
          }),
        ),
      }),
    ),
    validateOnly: boolean,
  },
});

export const incrementalAlterConfigsResponse = message({
  name: "IncrementalAlterConfigsResponse",
  versions: [0, 1],
  flexible: 1,
  fields: {
    throttleTimeMs: optional(int32, 0),
    responses: array(
      struct({
        errorCode: int16,
        errorMessage: nullable(string),
        resourceType: int8,
        resourceName: string,
      }),
    ),
  },
});

export const alterConfigsRequest = message({
  name: "AlterConfigsRequest",
  versions: [0, 2],
  flexible: 2,
  fields: {
    resources: array(
      struct({
        resourceType: int8,
        resourceName: string,
        configs: array(
          struct({
            name: string,
            value: nullable(string),
          }),
        ),
      }),
    ),
    validateOnly: boolean,
  },
});

export const alterConfigsResponse = message({
  name: "AlterConfigsResponse",
  versions: [0, 2],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    responses: array(
      struct({
        errorCode: int16,
        errorMessage: nullable(string),
        resourceType: int8,
        resourceName: string,
      }),
    ),
  },
});

export const listConfigResourcesRequest = message({
  name: "ListConfigResourcesRequest",
  versions: [0, 1],
  flexible: 0,
  fields: {
    /** Empty asks for every type; version 0 asks for client metrics. */
    resourceTypes: since(1, array(int8), []),
  },
});

export const listConfigResourcesResponse = message({
  name: "ListConfigResourcesResponse",
  versions: [0, 1],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    configResources: array(
      struct({
        resourceName: string,
        resourceType: since(1, int8, 16),
      }),
    ),
  },
});

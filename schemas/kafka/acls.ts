/** Who may do what: access control lists as administrators read and write them. */
import { array, int8, int16, int32, message, nullable, optional, string, struct } from "../../src/base/codec.ts";

const filter = {
  resourceTypeFilter: int8,
  /** Null: any name. */
  resourceNameFilter: nullable(string),
  patternTypeFilter: int8,
  principalFilter: nullable(string),
  hostFilter: nullable(string),
  operation: int8,
  permissionType: int8,
};

const who = { principal: string, host: string, operation: int8, permissionType: int8 };

export const describeAclsRequest = message({
  name: "DescribeAclsRequest",
  versions: [1, 3],
  flexible: 2,
  fields: filter,
});

export const describeAclsResponse = message({
  name: "DescribeAclsResponse",
  versions: [1, 3],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: optional(nullable(string), null),
    resources: array(struct({ resourceType: int8, resourceName: string, patternType: int8, acls: array(struct(who)) })),
  },
});

export const createAclsRequest = message({
  name: "CreateAclsRequest",
  versions: [1, 3],
  flexible: 2,
  fields: {
    creations: array(struct({ resourceType: int8, resourceName: string, resourcePatternType: int8, ...who })),
  },
});

export const createAclsResponse = message({
  name: "CreateAclsResponse",
  versions: [1, 3],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    results: array(struct({ errorCode: int16, errorMessage: nullable(string) })),
  },
});

export const deleteAclsRequest = message({
  name: "DeleteAclsRequest",
  versions: [1, 3],
  flexible: 2,
  fields: { filters: array(struct(filter)) },
});

export const deleteAclsResponse = message({
  name: "DeleteAclsResponse",
  versions: [1, 3],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    filterResults: array(
      struct({
        errorCode: int16,
        errorMessage: nullable(string),
        matchingAcls: array(
          struct({
            errorCode: int16,
            errorMessage: nullable(string),
            resourceType: int8,
            resourceName: string,
            patternType: int8,
            ...who,
          }),
        ),
      }),
    ),
  },
});

import { setting } from "../../src/base/settings.ts";

export const access = {
  authorizerEnabled: setting({
    key: "authorizer.enabled",
    type: "boolean",
    default: false,
    doc: "Whether ACLs are enforced, as Kafka's StandardAuthorizer does; without it everybody may do everything.",
  }),
  superUsers: setting({
    key: "super.users",
    type: "list",
    default: [],
    doc: "Principals, such as User:admin, that may do everything whatever the ACLs say.",
  }),
  allowsWithoutAcl: setting({
    key: "allow.everyone.if.no.acl.found",
    type: "boolean",
    default: false,
    doc: "Whether everybody may do everything with a resource that no ACL mentions.",
  }),
  aclsMax: setting({
    key: "authorizer.acls.max",
    type: "integer",
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: "Most ACLs that may be kept; each is in every checkpoint and in every broker's memory.",
  }),
  auditDenialsPerSecondMax: setting({
    key: "audit.denials.per.second.max",
    type: "integer",
    default: 100,
    min: 1,
    max: 100_000,
    doc: "Most denials a second that get a line of their own in the audit log; the others are counted in the next line.",
  }),
};

/** Who may do what, from the ACLs in the metadata. A change is in force from the moment in which this node's image holds it. */
import { assert } from "../base/errors.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { ApiName } from "../protocol/api-table.ts";
import type { RequestContext } from "../protocol/dispatch.ts";
import { aclOf, clusterName, type OperationName, operations, type ResourceKind, resourceTypes } from "./acl.ts";
import { AclIndex, type Asker, type Verdict } from "./acl-index.ts";
import type { AuditLog } from "./audit-log.ts";

export interface AuthorizerOptions {
  readonly metadata: Pick<MetadataClient, "image" | "onChange">;
  /** `User:alice`: may do anything, whatever the ACLs say. */
  readonly superUsers: readonly string[];
  /** What is allowed on a resource that no ACL mentions. */
  readonly allowsWithoutAcl: boolean;
  readonly audit: AuditLog;
}

export class Authorizer implements Disposable {
  readonly #options: AuthorizerOptions;
  readonly #superUsers: ReadonlySet<string>;
  readonly #watch: Disposable;
  /** Made again when it is next asked after the ACLs have changed. */
  #index: AclIndex | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
    for (const user of options.superUsers)
      assert(user.includes(":"), `the super user '${user}' is not of the form User:name`);
    this.#superUsers = new Set(options.superUsers);
    this.#watch = options.metadata.onChange((events) => {
      // Without events the image came from a checkpoint: anything may have changed.
      const mayDiffer = events.length === 0 || events.some((event) => event.kind === "set-facts");
      if (mayDiffer) this.#index = undefined;
    });
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  get audit(): AuditLog {
    return this.#options.audit;
  }

  /** What one request may do. */
  access(api: ApiName, context: RequestContext): Access {
    return new Access(this, api, askerOf(context));
  }

  authorize(asker: Asker, operation: number, resourceType: number, name: string): Verdict | "super-user" {
    if (this.#superUsers.has(asker.principal)) return "super-user";
    return this.#acls().authorize(asker, operation, resourceType, name);
  }

  authorizesSome(asker: Asker, operation: number, resourceType: number): boolean {
    if (this.#superUsers.has(asker.principal)) return true;
    return this.#acls().authorizesSome(asker, operation, resourceType);
  }

  #acls(): AclIndex {
    const { metadata, allowsWithoutAcl } = this.#options;
    this.#index ??= new AclIndex(Array.from(metadata.image.facts("acls").keys(), aclOf), { allowsWithoutAcl });
    return this.#index;
  }
}

export function askerOf({ principal, clientHost }: Pick<RequestContext, "principal" | "clientHost">): Asker {
  return { principal: `${principal.type}:${principal.name}`, host: clientHost.replace(/^::ffff:(?=\d+\.)/i, "") };
}

/** Asks for one request. */
export class Access {
  readonly #authorizer: Authorizer;
  readonly #api: ApiName;
  readonly #asker: Asker;

  constructor(authorizer: Authorizer, api: ApiName, asker: Asker) {
    this.#authorizer = authorizer;
    this.#api = api;
    this.#asker = asker;
  }

  /** For what the request asks for by name: the answer goes into the audit log. */
  may(operation: OperationName, kind: ResourceKind, name: string): boolean {
    const verdict = this.#authorizer.authorize(this.#asker, operations[operation], resourceTypes[kind], name);
    const isAllowed = verdict === "super-user" || verdict.isAllowed;
    const decision = { ...this.#asker, api: this.#api, operation, kind, name, verdict };
    if (isAllowed) this.#authorizer.audit.allowed(decision);
    else this.#authorizer.audit.denied(decision);
    return isAllowed;
  }

  mayOnCluster(operation: OperationName): boolean {
    return this.may(operation, "cluster", clusterName);
  }

  /** For what is only left out of an answer, or told as a fact. */
  could(operation: OperationName, kind: ResourceKind, name: string): boolean {
    const verdict = this.#authorizer.authorize(this.#asker, operations[operation], resourceTypes[kind], name);
    return verdict === "super-user" || verdict.isAllowed;
  }

  couldOnSome(operation: OperationName, kind: ResourceKind): boolean {
    return this.#authorizer.authorizesSome(this.#asker, operations[operation], resourceTypes[kind]);
  }

  /** The bit field of "authorized operations": bit n for operation n. */
  operationsOn(kind: keyof typeof operationsOfKind, name: string): number {
    let bits = 0;
    for (const operation of operationsOfKind[kind]) {
      if (this.could(operation, kind, name)) bits |= 1 << operations[operation];
    }
    return bits;
  }
}

/** Which operations make sense on what. */
export const operationsOfKind = {
  topic: ["read", "write", "create", "delete", "alter", "describe", "describeConfigs", "alterConfigs"],
  group: ["read", "delete", "describe", "describeConfigs", "alterConfigs"],
  cluster: ["create", "alter", "describe", "clusterAction", "describeConfigs", "alterConfigs", "idempotentWrite"],
} as const satisfies Partial<Record<ResourceKind, readonly OperationName[]>>;

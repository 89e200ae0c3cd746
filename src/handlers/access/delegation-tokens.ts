/**
 * Create-, Renew-, Expire- and DescribeDelegationToken (KIP-48): tokens are facts of the metadata, without what proves them. With
 * CREATE_TOKENS on a user somebody else makes that user's tokens, with DESCRIBE_TOKENS sees them (KIP-373).
 */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { Access } from "../../access/authorizer.ts";
import {
  type DelegationToken,
  decodeDelegationToken,
  encodeDelegationToken,
  tokenHmac,
  tokenOf,
} from "../../auth/delegation-token.ts";
import { uuidRandom, uuidToBytes } from "../../base/ids.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { ApiName, RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { anonymous, type RequestContext } from "../../protocol/dispatch.ts";
import type { HandlerOf } from "../admin-handlers.ts";
import { code } from "../handler.ts";

export interface DelegationTokensOptions {
  /** What ACLs allow; undefined where none are enforced, which allows everything, as in Kafka. */
  readonly access?: ((api: ApiName, context: RequestContext) => Pick<Access, "may" | "could">) | undefined;
  readonly metadata: Pick<MetadataClient, "image" | "propose">;
  readonly runtime: Runtime;
  readonly limits: {
    /** Empty: there are no tokens. */
    readonly delegationTokenSecret: string;
    readonly delegationTokenLifetimeMsMax: number;
    readonly delegationTokenExpiryMs: number;
    readonly delegationTokensMax: number;
  };
}

/** Of a request: who are to renew a token beside its owner. */
const renewersMax = 100;

export function delegationTokenHandlers(options: DelegationTokensOptions) {
  const { metadata, runtime, limits } = options;
  const secret = limits.delegationTokenSecret;
  const change = async (token: DelegationToken, value: string | null): Promise<ErrorName> => {
    const facts = [{ table: "delegation-tokens" as const, key: token.id, value }];
    const proposal = await metadata.propose([{ kind: "set-facts", facts }]);
    return proposal.kind === "accepted" ? "NONE" : "UNKNOWN_SERVER_ERROR";
  };
  return {
    createDelegationToken: async (request, context) => {
      const planned = planToken(options, request, context);
      if (typeof planned === "string") return createAnswer(request, context, planned);
      await forgetExpired(options);
      const isFull = metadata.image.facts("delegation-tokens").size >= limits.delegationTokensMax;
      if (isFull) return createAnswer(request, context, "INVALID_REQUEST");
      const error = await change(planned, encodeDelegationToken(planned));
      return createAnswer(request, context, error, { ...planned, hmac: tokenHmac(secret, planned.id) });
    },
    renewDelegationToken: async ({ hmac, renewPeriodMs }, context) => {
      const found = findOwn(options, hmac, context);
      if (typeof found === "string") return expiryAnswer(found);
      const nowMs = runtime.clock.now();
      if (found.expiresMs <= nowMs) return expiryAnswer("DELEGATION_TOKEN_EXPIRED");
      const longestMs = limits.delegationTokenExpiryMs;
      const periodMs = renewPeriodMs > 0 ? Math.min(renewPeriodMs, longestMs) : longestMs;
      const renewed = { ...found, expiresMs: Math.min(found.maxMs, nowMs + periodMs) };
      const error = await change(found, encodeDelegationToken(renewed));
      return error === "NONE" ? expiryAnswer(error, renewed.expiresMs) : expiryAnswer(error);
    },
    expireDelegationToken: async ({ hmac, expiryTimePeriodMs }, context) => {
      const found = findOwn(options, hmac, context);
      if (typeof found === "string") return expiryAnswer(found);
      const nowMs = runtime.clock.now();
      if (expiryTimePeriodMs < 0) {
        const error = await change(found, null);
        return error === "NONE" ? expiryAnswer(error, nowMs) : expiryAnswer(error);
      }
      if (found.expiresMs <= nowMs) return expiryAnswer("DELEGATION_TOKEN_EXPIRED");
      const expiring = { ...found, expiresMs: Math.min(found.maxMs, nowMs + expiryTimePeriodMs) };
      const error = await change(found, encodeDelegationToken(expiring));
      return error === "NONE" ? expiryAnswer(error, expiring.expiresMs) : expiryAnswer(error);
    },
    describeDelegationToken: async ({ owners }, context) => {
      const refused = refusedFor(secret, context);
      if (refused !== undefined) return { errorCode: code(refused), tokens: [] };
      const wanted = owners?.filter(isUser).map(({ principalName }) => principalName);
      const nowMs = runtime.clock.now();
      const tokens = [...tokensOf(metadata)].filter(
        (token) =>
          token.expiresMs > nowMs && // Kafka's controller removes those that have expired.
          // As Kafka: whoever is named may be the token's owner, or one who may use it.
          (wanted?.some((name) => mayUse(token, name)) ?? true) &&
          maySee(options, token, context),
      );
      return { errorCode: 0, tokens: tokens.map((token) => described(token, tokenHmac(secret, token.id))) };
    },
  } satisfies { readonly [Name in ApiName]?: HandlerOf<Name> };
}

/** Who is anonymous has nobody to act for, and a token must not beget tokens: neither would ever end. */
function refusedFor(secret: string, { principal }: RequestContext): ErrorName | undefined {
  if (principal.isTokenAuthenticated || principal.name === anonymous.name)
    return "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED";
  return secret === "" ? "DELEGATION_TOKEN_AUTH_DISABLED" : undefined;
}

function planToken(
  { runtime, limits, access }: DelegationTokensOptions,
  request: RequestOf<"createDelegationToken">,
  context: RequestContext,
): DelegationToken | ErrorName {
  const refused = refusedFor(limits.delegationTokenSecret, context);
  if (refused !== undefined) return refused;
  const requester = context.principal.name;
  const { type, name: owner } = ownerOf(request, context);
  const isOwn = type === context.principal.type && owner === requester;
  const mayFor = access?.("createDelegationToken", context).may("createTokens", "user", `${type}:${owner}`) ?? true;
  if (!isOwn && !mayFor) return "DELEGATION_TOKEN_AUTHORIZATION_FAILED";
  const renewers = request.renewers.map(({ principalName }) => principalName);
  if (type !== userType || !request.renewers.every(isUser)) return "INVALID_PRINCIPAL_TYPE";
  if (renewers.length > renewersMax) return "INVALID_REQUEST";
  const issuedMs = runtime.clock.now();
  const lifeMs = request.maxLifetimeMs <= 0 ? limits.delegationTokenLifetimeMsMax : request.maxLifetimeMs;
  const maxMs = issuedMs + Math.min(lifeMs, limits.delegationTokenLifetimeMsMax);
  return {
    id: Buffer.from(uuidToBytes(uuidRandom(runtime.random))).toString("base64url"),
    owner,
    requester,
    renewers,
    issuedMs,
    expiresMs: Math.min(maxMs, issuedMs + limits.delegationTokenExpiryMs),
    maxMs,
  };
}

function ownerOf(
  { ownerPrincipalType, ownerPrincipalName }: RequestOf<"createDelegationToken">,
  { principal }: RequestContext,
): { readonly type: string; readonly name: string } {
  if (ownerPrincipalName === null || ownerPrincipalName === "") return principal;
  return { type: ownerPrincipalType ?? "", name: ownerPrincipalName };
}

const userType = "User";

function isUser({ principalType }: { readonly principalType: string }): boolean {
  return principalType === userType;
}

/** The token of the HMAC, when the principal may renew it. */
function findOwn(
  { metadata, limits }: DelegationTokensOptions,
  hmac: Uint8Array,
  context: RequestContext,
): DelegationToken | ErrorName {
  const refused = refusedFor(limits.delegationTokenSecret, context);
  if (refused !== undefined) return refused;
  const found = tokenOf(tokensOf(metadata), limits.delegationTokenSecret, hmac);
  if (found === undefined) return "DELEGATION_TOKEN_NOT_FOUND";
  return mayUse(found, context.principal.name) ? found : "DELEGATION_TOKEN_OWNER_MISMATCH";
}

function mayUse({ owner, requester, renewers }: DelegationToken, name: string): boolean {
  return owner === name || requester === name || renewers.includes(name);
}

function maySee({ access }: DelegationTokensOptions, token: DelegationToken, context: RequestContext): boolean {
  if (mayUse(token, context.principal.name) || access === undefined) return true;
  const asked = access("describeDelegationToken", context);
  return (
    asked.could("describe", "delegationToken", token.id) ||
    asked.could("describeTokens", "user", `${userType}:${token.owner}`)
  );
}

function* tokensOf({ image }: DelegationTokensOptions["metadata"]): Iterable<DelegationToken> {
  for (const [id, text] of image.facts("delegation-tokens")) yield decodeDelegationToken(id, text);
}

/** Kept no longer than until the next one is made: they take room, and count nothing. */
async function forgetExpired({ metadata, runtime }: DelegationTokensOptions): Promise<void> {
  const nowMs = runtime.clock.now();
  const facts = [...tokensOf(metadata)]
    .filter(({ expiresMs }) => expiresMs <= nowMs)
    .map(({ id }) => ({ table: "delegation-tokens" as const, key: id, value: null }));
  if (facts.length > 0) await metadata.propose([{ kind: "set-facts", facts }]);
}

/** As Kafka's broker says it where it refuses by itself, and as its controller does. */
function expiryAnswer(
  error: ErrorName,
  expiryTimestampMs = error === "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED" ? -1 : 0,
): { readonly errorCode: number; readonly expiryTimestampMs: number } {
  return { errorCode: code(error), expiryTimestampMs };
}

function createAnswer(
  request: RequestOf<"createDelegationToken">,
  context: RequestContext,
  error: ErrorName,
  token?: DelegationToken & { readonly hmac: Uint8Array },
): ResponseInputOf<"createDelegationToken"> {
  const made = error === "NONE" ? token : undefined;
  const owner = ownerOf(request, context);
  return {
    errorCode: code(error),
    principalType: owner.type,
    principalName: owner.name,
    tokenRequesterPrincipalType: "User",
    tokenRequesterPrincipalName: context.principal.name,
    issueTimestampMs: made?.issuedMs ?? -1,
    expiryTimestampMs: made?.expiresMs ?? -1,
    maxTimestampMs: made?.maxMs ?? -1,
    tokenId: made?.id ?? "",
    hmac: made?.hmac ?? new Uint8Array(0),
  };
}

function described(token: DelegationToken, hmac: Uint8Array) {
  return {
    principalType: "User",
    principalName: token.owner,
    tokenRequesterPrincipalType: "User",
    tokenRequesterPrincipalName: token.requester,
    issueTimestamp: token.issuedMs,
    expiryTimestamp: token.expiresMs,
    maxTimestamp: token.maxMs,
    tokenId: token.id,
    hmac,
    renewers: token.renewers.map((principalName) => ({ principalType: "User", principalName })),
  };
}

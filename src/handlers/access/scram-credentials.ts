/** DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554): credentials are facts of the metadata, the same for all brokers. */

import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import {
  decodeScramCredential,
  encodeScramCredential,
  parseScramKey,
  type ScramMechanism,
  scramCredential,
  scramIterations,
  scramKey,
  scramMechanisms,
} from "../../auth/scram-credential.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { FactEvent } from "../../metadata/events.ts";
import type { ApiName, RequestOf } from "../../protocol/api-table.ts";
import type { HandlerOf } from "../admin-handlers.ts";
import { clipped } from "../error-text.ts";
import { code } from "../handler.ts";
import { repeated } from "../repeated.ts";

export interface ScramCredentialsOptions {
  readonly metadata: Pick<MetadataClient, "image" | "propose">;
}

type Alter = RequestOf<"alterUserScramCredentials">;
type Facts = FactEvent["facts"];
interface Problem {
  readonly error: ErrorName;
  readonly message: string;
}

/** ScramMechanism's numbers in the protocol. */
const mechanismTypes: readonly (ScramMechanism | undefined)[] = [undefined, ...scramMechanisms];
/** A user's name is part of a key of the metadata, and of each audit line. */
const userBytesMax = 1024;
const saltBytesMax = 1024;
/** Kafka asks for no length either, and clients' own tests make up short ones: a wrong one lets nobody in. */
const saltedPasswordBytesMax = 1024;
/** The most changes of one request. */
const changesMax = 1_000;

export function scramCredentialsHandlers({ metadata }: ScramCredentialsOptions) {
  return {
    describeUserScramCredentials: async ({ users }) => {
      const known = credentialsByUser(metadata);
      const isAll = users === null || users.length === 0;
      const names = isAll ? [...known.keys()] : users.map(({ name }) => name);
      const again = repeated(names);
      return {
        errorCode: 0,
        errorMessage: "", // As Kafka, here and below.
        results: [...new Set(names)].map((user) => {
          const error = again.has(user) ? twice(user) : known.has(user) ? undefined : unknown(user);
          if (error !== undefined) return { user, ...wire(error), credentialInfos: [] };
          return { user, errorCode: 0, errorMessage: "", credentialInfos: known.get(user) ?? [] };
        }),
      };
    },
    alterUserScramCredentials: async (request) => {
      const users = [...new Set([...request.deletions, ...request.upsertions].map(({ name }) => name))];
      const plans = users.map((user) => ({ user, plan: planChange(metadata, request, user) }));
      const facts = plans.flatMap(({ plan }) => ("error" in plan ? [] : plan));
      const refused = facts.length === 0 ? undefined : await setFacts(metadata, facts);
      return {
        results: plans.map(({ user, plan }) => ({ user, ...wire("error" in plan ? plan : refused) })),
      };
    },
  } satisfies { readonly [Name in ApiName]?: HandlerOf<Name> };
}

type Described = readonly { readonly mechanism: number; readonly iterations: number }[];

function credentialsByUser({ image }: ScramCredentialsOptions["metadata"]): ReadonlyMap<string, Described> {
  const byUser = new Map<string, Described[number][]>();
  for (const [key, text] of image.facts("scram-credentials")) {
    const parsed = parseScramKey(key);
    if (parsed === undefined) continue;
    const { iterations } = decodeScramCredential(text);
    const described = { mechanism: mechanismTypes.indexOf(parsed.mechanism), iterations };
    byUser.set(parsed.user, [...(byUser.get(parsed.user) ?? []), described]);
  }
  return byUser;
}

/** All changes of a user, or the first thing that is wrong with them: none of them counts then. */
function planChange({ image }: ScramCredentialsOptions["metadata"], request: Alter, user: string): Facts | Problem {
  if (request.deletions.length + request.upsertions.length > changesMax) {
    return { error: "INVALID_REQUEST", message: `A request may change ${changesMax} credentials at most.` };
  }
  const deletions = request.deletions.filter(({ name }) => name === user);
  const upsertions = request.upsertions.filter(({ name }) => name === user);
  if (user === "" || Buffer.byteLength(user) > userBytesMax) {
    return { error: "UNACCEPTABLE_CREDENTIAL", message: `A user's name has 1 to ${userBytesMax} bytes.` };
  }
  const facts: Facts[number][] = [];
  // As Kafka: one after another, and of a user whose first change is right there is none more, of another mechanism neither.
  for (const deletion of deletions) {
    const fact = facts.length > 0 ? twice(user) : deletionFact(image, deletion);
    if ("error" in fact) return fact;
    facts.push(fact);
  }
  for (const upsertion of upsertions) {
    const fact = facts.length > 0 ? twice(user) : upsertionFact(upsertion);
    if ("error" in fact) return fact;
    facts.push(fact);
  }
  return facts;
}

function deletionFact(
  image: ScramCredentialsOptions["metadata"]["image"],
  { name, mechanism: type }: Alter["deletions"][number],
): Facts[number] | Problem {
  const mechanism = mechanismTypes[type];
  if (mechanism === undefined) return unknownMechanism;
  const key = scramKey(mechanism, name);
  if (image.fact("scram-credentials", key) === undefined) return unknown(name);
  return { table: "scram-credentials", key, value: null };
}

function upsertionFact(upsertion: Alter["upsertions"][number]): Facts[number] | Problem {
  const { name, mechanism: type, iterations, salt, saltedPassword } = upsertion;
  const mechanism = mechanismTypes[type];
  if (mechanism === undefined) return unknownMechanism;
  if (iterations < scramIterations.min) return unacceptable("Too few iterations");
  if (iterations > scramIterations.max) return unacceptable("Too many iterations");
  if (salt.length === 0 || salt.length > saltBytesMax) return unacceptable(`A salt has 1 to ${saltBytesMax} bytes`);
  if (saltedPassword.length === 0 || saltedPassword.length > saltedPasswordBytesMax) {
    return unacceptable(`A salted password has 1 to ${saltedPasswordBytesMax} bytes`);
  }
  const credential = scramCredential(mechanism, { salt, iterations, saltedPassword });
  return { table: "scram-credentials", key: scramKey(mechanism, name), value: encodeScramCredential(credential) };
}

async function setFacts(metadata: ScramCredentialsOptions["metadata"], facts: Facts): Promise<Problem | undefined> {
  const proposal = await metadata.propose([{ kind: "set-facts", facts }]);
  if (proposal.kind === "accepted") return undefined;
  return { error: "UNKNOWN_SERVER_ERROR", message: `The metadata refused the change: ${proposal.refusal.reason}` };
}

const unknownMechanism: Problem = { error: "UNSUPPORTED_SASL_MECHANISM", message: "Unknown SCRAM mechanism" };

function unacceptable(message: string): Problem {
  return { error: "UNACCEPTABLE_CREDENTIAL", message };
}

function unknown(user: string): Problem {
  return {
    error: "RESOURCE_NOT_FOUND",
    message: `Attempt to describe or delete a credential that user ${user} has not`,
  };
}

function twice(user: string): Problem {
  return { error: "DUPLICATE_RESOURCE", message: `The request names user ${user} more than once` };
}

function wire(problem: Problem | undefined): { readonly errorCode: number; readonly errorMessage: string | null } {
  return { errorCode: code(problem?.error), errorMessage: problem === undefined ? null : clipped(problem.message) };
}

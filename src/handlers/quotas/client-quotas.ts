/** DescribeClientQuotas and AlterClientQuotas. That the asker may do so is checked before (guard-rules.ts). */

import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import {
  entityKey,
  entityOf,
  entityTypes,
  type Quota,
  type QuotaEntity,
  quotaFactKey,
  quotaOf,
  quotaProblem,
} from "../../access/quota-entity.ts";
import { Lane } from "../../base/async.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";
import { repeated } from "../repeated.ts";

export interface ClientQuotasHandlersOptions {
  readonly metadata: Pick<MetadataClient, "image" | "propose">;
  readonly limits: { readonly quotasMax: number };
}

export interface ClientQuotasHandlers {
  readonly describeClientQuotas: Handler<RequestOf<"describeClientQuotas">, ResponseInputOf<"describeClientQuotas">>;
  readonly alterClientQuotas: Handler<RequestOf<"alterClientQuotas">, ResponseInputOf<"alterClientQuotas">>;
}

type AlterRequest = RequestOf<"alterClientQuotas">;
type AlterEntry = AlterRequest["entries"][number];
type Component = RequestOf<"describeClientQuotas">["components"][number];

const matchTypes = { exact: 0, byDefault: 1, any: 2 } as const;

export function clientQuotasHandlers(options: ClientQuotasHandlersOptions): ClientQuotasHandlers {
  const lane = new Lane(); // How many there are is read in the turn that proposes more.
  return {
    describeClientQuotas: async ({ components, strict }) => {
      const problem = filterProblem(components);
      if (problem !== undefined)
        return { errorCode: code(problem.error), errorMessage: clipped(problem.message), entries: null };
      const byEntity = Map.groupBy(quotas(options), ({ entity }) => entityKey(entity));
      const found = [...byEntity.values()].filter(
        ([first]) => first !== undefined && matches(first.entity, components, strict),
      );
      const entries = found.map((ofEntity) => ({
        entity: named(ofEntity[0]?.entity ?? {}),
        values: ofEntity.map(({ key, value }) => ({ key, value })),
      }));
      return { errorCode: 0, errorMessage: "", entries }; // As Kafka: no error has an empty text here.
    },
    alterClientQuotas: (request) => lane.run(() => alter(options, request)),
  };
}

function quotas({ metadata }: ClientQuotasHandlersOptions): readonly Quota[] {
  return Array.from(metadata.image.facts("quotas"), quotaOf);
}

function named(entity: QuotaEntity): { readonly entityType: string; readonly entityName: string | null }[] {
  return entityTypes
    .filter((type) => type in entity)
    .map((entityType) => ({ entityType, entityName: entity[entityType] ?? null }));
}

function filterProblem(
  components: readonly Component[],
): { readonly error: ErrorName; readonly message: string } | undefined {
  const invalid = (message: string) => ({ error: "INVALID_REQUEST", message }) as const;
  const types = new Set<string>();
  for (const { entityType, matchType, match } of components) {
    if (entityType === "") return invalid("Unexpected empty filter component entity type");
    if (!entityTypes.some((known) => known === entityType)) {
      return { error: "UNSUPPORTED_VERSION", message: `Custom entity type '${entityType}' not supported` };
    }
    if (types.has(entityType)) return invalid(`Duplicate ${entityType} filter component entity type`);
    types.add(entityType);
    if (matchType === matchTypes.exact && match === null) {
      return invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.");
    }
    if (matchType !== matchTypes.exact && match !== null) {
      return invalid("Request specified a match string for a match type that takes none.");
    }
    if (!Object.values(matchTypes).some((known) => known === matchType))
      return invalid(`Unknown match type ${matchType}`);
  }
  if (types.has("ip") && types.size > 1) {
    return invalid(
      "Invalid entity filter component combination: IP filter component should not be used with user or clientId filter component.",
    );
  }
  return undefined;
}

function matches(entity: QuotaEntity, components: readonly Component[], isStrict: boolean): boolean {
  if (isStrict && Object.keys(entity).length !== components.length) return false;
  return components.every(({ entityType, matchType, match }) => {
    const name = entity[entityType as keyof QuotaEntity];
    if (name === undefined) return false;
    return matchType === matchTypes.any || name === (matchType === matchTypes.exact ? match : null);
  });
}

/** All of it or nothing, as Kafka does: an entity with an error lets the others be, since each is checked before. */
async function alter(
  options: ClientQuotasHandlersOptions,
  request: AlterRequest,
): Promise<ResponseInputOf<"alterClientQuotas">> {
  const facts = new Map<string, string | null>();
  const seen = new Set<string>();
  const problems = request.entries.map((entry) => plan(entry, seen, facts));
  const kept = options.metadata.image.facts("quotas");
  const added = [...facts].filter(([key, value]) => value !== null && !kept.has(key)).length;
  const isFull = added > 0 && kept.size + added > options.limits.quotasMax;
  const changed = [...facts].filter(([key, value]) => kept.get(key) !== (value ?? undefined));
  const failure = isFull
    ? refusal("POLICY_VIOLATION", `There may be ${options.limits.quotasMax} quotas.`)
    : request.validateOnly || changed.length === 0
      ? undefined
      : await propose(options, changed);
  // As Kafka: of a type that is named twice the last counts, and an entity that is named twice is answered once.
  const answers = request.entries.map(({ entity: asked }, at) => {
    const problem = problems[at];
    const answer = problem === undefined ? (failure ?? done) : refusal("INVALID_REQUEST", problem);
    const entity = [...new Map(asked.map((part) => [part.entityType, part])).values()];
    return [answerKey(entity), { ...answer, entity }] as const;
  });
  return { entries: [...new Map(answers).values()] };
}

function answerKey(entity: AlterEntry["entity"]): string {
  return JSON.stringify(
    entity.map(({ entityType, entityName }) => [entityType, entityName] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

const done = { errorCode: 0, errorMessage: null } as const;

function plan(
  { entity: asked, ops }: AlterEntry,
  seen: Set<string>,
  facts: Map<string, string | null>,
): string | undefined {
  const entity = entityOf(asked);
  if (typeof entity === "string") return entity;
  const name = entityKey(entity);
  if (seen.has(name)) return `Ignoring duplicate entity ${name}`;
  seen.add(name);
  const [twice] = repeated(ops.map(({ key }) => key));
  if (twice !== undefined) return `Duplicate quota key ${twice} not updating quota for this entity ${name}`;
  for (const { key, value, remove } of ops) {
    const problem = remove ? undefined : quotaProblem(entity, key, value);
    if (problem !== undefined) return problem;
  }
  for (const { key, value, remove } of ops) facts.set(quotaFactKey(entity, key), remove ? null : String(value));
  return undefined;
}

async function propose(
  { metadata }: ClientQuotasHandlersOptions,
  changed: readonly (readonly [key: string, value: string | null])[],
): Promise<ReturnType<typeof refusal> | undefined> {
  const facts = changed.map(([key, value]) => ({ table: "quotas" as const, key, value }));
  const proposal = await metadata.propose([{ kind: "set-facts", facts }]);
  return proposal.kind === "accepted"
    ? undefined
    : refusal("UNKNOWN_SERVER_ERROR", "The metadata log refused the change.");
}

function refusal(error: ErrorName, message: string): { readonly errorCode: number; readonly errorMessage: string } {
  return { errorCode: code(error), errorMessage: clipped(message) };
}

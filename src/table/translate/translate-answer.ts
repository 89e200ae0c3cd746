/** Turns a round's answer into the caller's: brings schema texts, and repeats the range until they are all there. */
import { OperationFailed } from "../../base/errors.ts";
import type { MappingSource, SchemaText } from "../schema/schema-map.ts";
import type { AddOutcome, LatestId, SchemaById } from "./translate.ts";
import type { CoreOutcome, UnknownSchema } from "./translate-round.ts";

export interface Schemas {
  readonly schemaById: SchemaById;
  readonly latestId?: LatestId;
}

/** What a round asked for. */
export interface Brought {
  readonly texts: ReadonlyMap<number, SchemaText>;
  readonly latestId?: number;
}

export async function answer(
  { schemaById, latestId }: Schemas,
  subject: string,
  attempt: (brought: Brought) => Promise<CoreOutcome>,
): Promise<AddOutcome> {
  const byId: ById = (schemaId) => schemaById(schemaId, subject);
  let outcome = await attempt({ texts: new Map() });
  // Each turn brings the latest id, once, or at least one text that was missing: turns are as many as schemas at most.
  while (outcome.kind === "needs-texts" || outcome.kind === "needs-latest") {
    outcome =
      outcome.kind === "needs-texts"
        ? await attempt({ texts: await textsOf(outcome.schemaIds, byId) })
        : await attempt({ texts: new Map(), latestId: await latestOf(subject, latestId) });
  }
  if (outcome.kind !== "needs-schema") return outcome;
  const sources = await Promise.all(outcome.unknown.map((unknown) => sourceOf(unknown, byId)));
  const inferred: readonly MappingSource[] =
    outcome.inferred.kind === "nothing" ? [] : [{ kind: "inferred", type: outcome.inferred }];
  return { kind: "needs-schema", sources: [...sources, ...inferred] };
}

/** A subject that has no schema yet is waited for: its records are nothing yet, and lost by no means. */
async function latestOf(subject: string, latestId: LatestId | undefined): Promise<number> {
  const id = await latestId?.(subject);
  if (id !== undefined) return id;
  throw new OperationFailed(`the registry has no schema of subject ${subject}`, { happened: "no" });
}

type ById = (schemaId: number) => ReturnType<SchemaById>;

async function textsOf(ids: readonly number[], schemaById: ById): Promise<ReadonlyMap<number, SchemaText>> {
  const texts = new Map<number, SchemaText>();
  for (const schemaId of ids) {
    const text = await schemaById(schemaId);
    if (text === undefined) {
      throw new OperationFailed(`the registry has lost schema ${schemaId}, which the table knows`, { happened: "no" });
    }
    texts.set(schemaId, text);
  }
  return texts;
}

async function sourceOf({ part, schemaId, message }: UnknownSchema, schemaById: ById): Promise<MappingSource> {
  const schema = await schemaById(schemaId);
  if (schema === undefined) return { kind: "missing", part, schemaId };
  return { kind: "schema-id", part, schemaId, schema, message: schema.type === "PROTOBUF" ? message : undefined };
}

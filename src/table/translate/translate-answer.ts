/** Turns a round's answer into the caller's: brings schema texts, and repeats the range until they are all there. */
import { OperationFailed } from "../../base/errors.ts";
import {
  type MappingSource,
  type RecordPart,
  type SchemaId,
  type SchemaText,
  sourceKey,
} from "../schema/schema-map.ts";
import type { Subjects } from "../settings.ts";
import type { AddOutcome, LatestId, SchemaById } from "./translate.ts";
import type { CoreOutcome, SchemaPlace, UnknownSchema } from "./translate-round.ts";

export interface Schemas {
  readonly schemaById: SchemaById;
  readonly latestId?: LatestId;
}

/** What a round asked for. */
export interface Brought {
  /** By sourceKey of the id. */
  readonly texts: ReadonlyMap<string, SchemaText>;
  readonly latest?: Readonly<Partial<Record<RecordPart, SchemaId>>>;
}

export async function answer(
  { schemaById, latestId }: Schemas,
  subjects: Subjects,
  attempt: (brought: Brought) => Promise<CoreOutcome>,
): Promise<AddOutcome> {
  const byPlace: ByPlace = ({ part, schemaId }) => schemaById(schemaId, subjects[part]);
  let outcome = await attempt({ texts: new Map() });
  // Each turn brings the latest ids, once, or at least one text that was missing: turns are as many as schemas at most.
  while (outcome.kind === "needs-texts" || outcome.kind === "needs-latest") {
    outcome =
      outcome.kind === "needs-texts"
        ? await attempt({ texts: await textsOf(outcome.schemas, byPlace) })
        : await attempt({ texts: new Map(), latest: await latestOf(outcome.parts, subjects, latestId) });
  }
  if (outcome.kind !== "needs-schema") return outcome;
  const sources = await Promise.all(outcome.unknown.map((unknown) => sourceOf(unknown, byPlace)));
  const { inferred } = outcome;
  const inferredSources = (["key", "value"] as const).flatMap((part): readonly MappingSource[] =>
    inferred[part].kind === "nothing" ? [] : [{ kind: "inferred", part, type: inferred[part] }],
  );
  return { kind: "needs-schema", sources: [...sources, ...inferredSources] };
}

/** A subject that has no schema yet is waited for: its records are nothing yet, and lost by no means. */
async function latestOf(
  parts: readonly RecordPart[],
  subjects: Subjects,
  latestId: LatestId | undefined,
): Promise<NonNullable<Brought["latest"]>> {
  const found: Partial<Record<RecordPart, SchemaId>> = {};
  for (const part of parts) {
    const id = await latestId?.(subjects[part]);
    if (id === undefined)
      throw new OperationFailed(`the registry has no schema of subject ${subjects[part]}`, { happened: "no" });
    found[part] = id;
  }
  return found;
}

type ByPlace = (place: SchemaPlace) => ReturnType<SchemaById>;

async function textsOf(
  places: readonly SchemaPlace[],
  schemaByPlace: ByPlace,
): Promise<ReadonlyMap<string, SchemaText>> {
  const texts = new Map<string, SchemaText>();
  for (const place of places) {
    const { part, schemaId } = place;
    const text = await schemaByPlace(place);
    if (text === undefined) {
      throw new OperationFailed(`the registry has lost schema ${schemaId}, which the table knows`, { happened: "no" });
    }
    texts.set(sourceKey(part, schemaId), text);
  }
  return texts;
}

async function sourceOf({ part, schemaId, message }: UnknownSchema, schemaByPlace: ByPlace): Promise<MappingSource> {
  const schema = await schemaByPlace({ part, schemaId });
  if (schema === undefined) return { kind: "missing", part, schemaId };
  return { kind: "schema-id", part, schemaId, schema, message: schema.type === "PROTOBUF" ? message : undefined };
}

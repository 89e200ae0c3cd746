/** Turns a round's answer into the caller's: brings schema texts, and repeats the range until they are all there. */
import { OperationFailed } from "../../base/errors.ts";
import type { MappingSource, SchemaText } from "../schema/schema-map.ts";
import type { AddOutcome, SchemaById } from "./translate.ts";
import type { CoreOutcome, UnknownSchema } from "./translate-round.ts";

export async function answer(
  schemaById: SchemaById,
  attempt: (texts: ReadonlyMap<number, SchemaText>) => Promise<CoreOutcome>,
): Promise<AddOutcome> {
  let outcome = await attempt(new Map());
  // Each turn brings at least one text that was missing, so turns are as many as schemas at most.
  while (outcome.kind === "needs-texts") outcome = await attempt(await textsOf(outcome.schemaIds, schemaById));
  if (outcome.kind !== "needs-schema") return outcome;
  const sources = await Promise.all(outcome.unknown.map((unknown) => sourceOf(unknown, schemaById)));
  const inferred: readonly MappingSource[] =
    outcome.inferred.kind === "nothing" ? [] : [{ kind: "inferred", type: outcome.inferred }];
  return { kind: "needs-schema", sources: [...sources, ...inferred] };
}

async function textsOf(ids: readonly number[], schemaById: SchemaById): Promise<ReadonlyMap<number, SchemaText>> {
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

async function sourceOf({ part, schemaId, message }: UnknownSchema, schemaById: SchemaById): Promise<MappingSource> {
  const schema = await schemaById(schemaId);
  if (schema === undefined) return { kind: "missing", part, schemaId };
  return { kind: "schema-id", part, schemaId, schema, message: schema.type === "PROTOBUF" ? message : undefined };
}

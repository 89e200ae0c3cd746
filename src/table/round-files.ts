/** The manifests of rounds, read back before a commit: are they, and what they list, still what was uploaded? */
import { CorruptData } from "../base/errors.ts";
import type { Seq } from "../base/ids.ts";
import type { Clock } from "../base/runtime.ts";
import type { RoundManifest } from "../metadata/events.ts";
import type { PendingRound } from "../metadata/image.ts";
import { ObjectMissing } from "../object-store/object-store.ts";
import { misfit, type RoundFile, type RoundPart } from "./commit/append-plan.ts";
import { currentSchema } from "./commit/table-creation.ts";
import { readManifest } from "./iceberg/manifest.ts";
import type { TableMetadata } from "./iceberg/metadata.ts";
import { parseRoundProof, proofName } from "./tools/proof.ts";
import type { Warehouse } from "./warehouse.ts";

export type RoundFiles =
  /** One part a round, in their order; a round without files has an empty one. */
  | { readonly kind: "files"; readonly parts: readonly RoundPart[] }
  /** What was uploaded is lost or not what it was: the round is to be translated again. */
  | { readonly kind: "damaged"; readonly seq: Seq; readonly reason: string }
  /** It is as it was, but the table has changed: a person decides. */
  | { readonly kind: "paused"; readonly reason: string };

export interface RoundFilesDeps {
  readonly warehouse: Warehouse;
  readonly clock: Clock;
  /** Rounds whose manifest is older than this are checked file by file. */
  readonly trustMs: number;
}

/** `manifestsOf` gives none: the round has nothing for this table. */
export async function readRounds(
  rounds: readonly PendingRound[],
  manifestsOf: (round: PendingRound) => readonly RoundManifest[],
  base: TableMetadata,
  deps: RoundFilesDeps,
): Promise<RoundFiles> {
  const parts: RoundPart[] = [];
  for (const round of rounds) {
    const files: RoundFile[] = [];
    for (const manifest of manifestsOf(round)) {
      const file = await readManifestFile(manifest, base, deps);
      if (typeof file === "string") return { kind: "damaged", seq: round.seq, reason: `round ${round.seq}: ${file}` };
      const reason = misfit(base, file);
      if (reason !== undefined) return { kind: "paused", reason: `round ${round.seq}: ${reason}` };
      files.push(file);
    }
    parts.push({ seq: round.seq, files });
  }
  return { kind: "files", parts };
}

/** The file, or what is wrong with it. */
async function readManifestFile(
  manifest: RoundManifest,
  base: TableMetadata,
  deps: RoundFilesDeps,
): Promise<RoundFile | string> {
  const { warehouse, clock, trustMs } = deps;
  const { location } = manifest;
  try {
    const info = await warehouse.head(location);
    const bytes = await warehouse.read(location);
    const table = { schema: currentSchema(base), specs: base["partition-specs"] };
    const { schema, specId, content, entries, properties } = await readManifest(bytes, location, table);
    if (schema === undefined) return `${location} holds no schema`;
    const rows = entries.reduce((sum, entry) => sum + entry.file.recordCount, 0);
    if (rows !== manifest.rows) return `${location} lists ${rows} rows, the log says ${manifest.rows}`;
    const ageMs = clock.now() - (info?.modifiedMs ?? 0);
    for (const { file } of ageMs > trustMs ? entries : []) {
      if ((await warehouse.head(file.path)) === undefined) return `${file.path} is gone`;
    }
    const text = properties.get(proofName);
    const proof = text === undefined ? undefined : parseRoundProof(text, location);
    return { path: location, bytes: bytes.length, schema, specId, content, entries, proof };
  } catch (cause) {
    if (cause instanceof ObjectMissing) return `${location} is gone`;
    if (cause instanceof CorruptData) return cause.message;
    throw cause;
  }
}

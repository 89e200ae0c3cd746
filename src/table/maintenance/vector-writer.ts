/**
 * Carries a vector plan out: asks which rows of each file deletes have taken, and uploads one Puffin file with the vectors.
 * Until it is committed nothing names it; a crash before leaves an orphan.
 */
import { type LiveFile, liveFiles } from "../commit/live-entries.ts";
import { currentSchema } from "../commit/table-creation.ts";
import type { ManifestEntry } from "../iceberg/manifest.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import { writePuffin } from "../iceberg/puffin.ts";
import { placesOf } from "../table-state.ts";
import { uniqueUri } from "../warehouse.ts";
import type { Base, RewriteTarget } from "./replace-commit.ts";
import type { TakenAnswer } from "./rewrite-core.ts";
import { addDeletes, type Reading, rewriteInputs } from "./rewrite-inputs.ts";
import type { Done, TableRewriterDeps } from "./table-rewriter.ts";
import { planVectors, type VectorInputFile, type VectorPlan } from "./vector-plan.ts";

type Taken = VectorInputFile & Extract<TakenAnswer, { readonly kind: "taken" }>;

export class VectorWriter {
  readonly #deps: TableRewriterDeps;

  constructor(deps: TableRewriterDeps) {
    this.#deps = deps;
  }

  /** What is to be committed, or why nothing is. Throws what reading and writing throw. */
  async write(base: Base, target: RewriteTarget, signal: AbortSignal): Promise<readonly Done[] | string> {
    const { metadata } = base.table;
    const plan = planVectors(liveFiles(base.manifests), this.#deps.limits);
    if (plan === undefined) return [];
    const taken = await this.#taken(plan, metadata, { ...this.#deps, target, signal });
    if (typeof taken === "string") return taken;
    const puffin = await this.#upload(taken.filter(wantsVector), metadata);
    const sequence = base.snapshot["sequence-number"];
    return taken.map((each): Done => {
      const { file, deletes, cardinality } = each;
      const rowsDropped = cardinality - countOf(deletes.find(isVector));
      // All of its rows: the file itself goes.
      if (cardinality === file.entry.file.recordCount)
        return { replacement: { kind: "rewritten", inputs: [file], files: [], sequence }, rowsDropped };
      const vector = puffin.get(each);
      const resolved = vector === undefined ? deletes.filter((remove) => !isVector(remove)) : deletes;
      return { replacement: { kind: "marked", inputs: [file], resolved, vector, sequence }, rowsDropped };
    });
  }

  async #taken(plan: VectorPlan, metadata: TableMetadata, reading: Reading): Promise<readonly Taken[] | string> {
    const { rewriter, limits } = this.#deps;
    const schema = currentSchema(metadata);
    using _place = await this.#deps.jobs.enter();
    await using job = rewriter.begin({ schema, partition: [], targetFileBytes: limits.targetBytes });
    const files = plan.inputs.map(({ file }) => file);
    const held = await addDeletes(job, plan.deletes, files, reading);
    if (held !== undefined) return held;
    const taken: Taken[] = [];
    for await (const input of rewriteInputs(files, reading)) {
      const answer = await job.taken(input);
      if (answer.kind === "unreadable") return answer.reason;
      taken.push({ ...(plan.inputs[taken.length] as VectorInputFile), ...answer });
    }
    return taken;
  }

  /** One file with all of them, since a vector is small. */
  async #upload(taken: readonly Taken[], metadata: TableMetadata) {
    const { warehouse, runtime, engineVersion } = this.#deps;
    if (taken.length === 0) return new Map<Taken, never>();
    const blobs = taken.map(({ file, cardinality, vector }) => {
      return { dataFile: file.entry.file.path, cardinality, bytes: vector };
    });
    const { bytes, places } = writePuffin(blobs, `Inlet ${engineVersion}`);
    const path = uniqueUri(placesOf(metadata).data, "inlet-vectors", ".puffin", runtime.random);
    await warehouse.create(path, bytes);
    return new Map(
      taken.map((each, index) => {
        const place = places[index] as (typeof places)[number];
        return [each, { file: puffinFile(path, bytes.length, each.cardinality), place }];
      }),
    );
  }
}

/** Taken rows hold those of an earlier vector: when they are as many, they are the same. */
function wantsVector({ file, deletes, cardinality }: Taken): boolean {
  return cardinality > countOf(deletes.find(isVector)) && cardinality < file.entry.file.recordCount;
}

function isVector({ entry }: LiveFile): boolean {
  return entry.vector !== null;
}

function countOf(vector: LiveFile | undefined): number {
  return vector?.entry.file.recordCount ?? 0;
}

function puffinFile(path: string, bytes: number, recordCount: number): ManifestEntry["file"] {
  const counts = new Map<number, number>();
  const bounds = new Map<number, Uint8Array>();
  return {
    path,
    format: "PUFFIN",
    partition: [], // That of the data file, when it is committed.
    recordCount,
    bytes,
    columnSizes: counts,
    valueCounts: counts,
    nullValueCounts: counts,
    nanValueCounts: counts,
    lowerBounds: bounds,
    upperBounds: bounds,
    splitOffsets: [],
  };
}

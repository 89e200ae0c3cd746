/**
 * Rewrites a table's files: reads its live entries, lets rewrite-plan.ts decide, carries groups out one after another, and
 * commits what they gave as REPLACE snapshots. Appends go first: before each step it waits until none is under way, and a
 * commit that meets another one is planned again on the new base, without the groups that are not true any more.
 *
 * Nothing is deleted here. What a dropped group or a lost commit has uploaded is named by nothing, and an orphan; what a commit
 * replaced goes with the expiry of the snapshots that still read it.
 */
import type { Gate } from "../../base/async.ts";
import type { Runtime } from "../../base/runtime.ts";
import { liveFiles } from "../commit/live-entries.ts";
import { currentSchema } from "../commit/table-creation.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import type { DataFile } from "../iceberg/types.ts";
import { placesOf } from "../table-state.ts";
import { uniqueUri, type Warehouse } from "../warehouse.ts";
import { idleDeletes } from "./delete-scope.ts";
import type { Base, ReplaceCommitter, RewriteTarget } from "./replace-commit.ts";
import { currency, planReplace, type Replacement } from "./replace-plan.ts";
import type { RewriteResult } from "./rewrite-core.ts";
import { addDeletes, type Reading, rewriteInputs } from "./rewrite-inputs.ts";
import { planRewrites, type RewriteGroup, type RewriteSettings } from "./rewrite-plan.ts";
import type { Rewriter } from "./rewriter.ts";
import { lineageConflict, withLineage } from "./row-lineage.ts";
import { VectorWriter } from "./vector-writer.ts";

export interface TableRewriterDeps {
  readonly warehouse: Warehouse;
  readonly rewriter: Rewriter;
  readonly runtime: Runtime;
  readonly limits: TableRewriterLimits;
  readonly committer: ReplaceCommitter;
  /** One job at a time has the thread, the memory and the budget of bytes, over all tables of the node. */
  readonly jobs: Gate;
  /** Of Inlet, for the files of vectors. */
  readonly engineVersion: string;
}

export interface TableRewriterLimits extends RewriteSettings {
  /** Of files read; what maintenance may take of the node. */
  readonly bytesPerSecondMax: number;
  /** Replaced bytes from which on a commit is made, before the other groups are carried out. */
  readonly commitBytes: number;
}

export interface RewriteReport {
  readonly filesIn: number;
  readonly filesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly rowsDropped: number;
  readonly deleteFilesDropped: number;
  /** Of format version 3. */
  readonly vectorsWritten: number;
  /** Why something was not done; "" when all was. */
  readonly held: string;
}

export const noRewrite: RewriteReport = {
  filesIn: 0,
  filesOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  rowsDropped: 0,
  deleteFilesDropped: 0,
  vectorsWritten: 0,
  held: "",
};

/** A replacement whose files are uploaded. */
export interface Done {
  readonly replacement: Replacement;
  readonly rowsDropped: number;
}

export class TableRewriter {
  readonly #deps: TableRewriterDeps;
  readonly #vectors: VectorWriter;

  constructor(deps: TableRewriterDeps) {
    this.#deps = deps;
    this.#vectors = new VectorWriter(deps);
  }

  /** One pass over the table. Throws OperationFailed when catalog or store fail: nothing is half done then. */
  async run(target: RewriteTarget, signal: AbortSignal): Promise<RewriteReport> {
    const base = await this.#deps.committer.load(target);
    if (typeof base === "string") return { ...noRewrite, held: base };
    const { metadata } = base.table;
    const isOfRows = metadata["format-version"] === 3;
    const conflict = isOfRows ? lineageConflict(currentSchema(metadata)) : undefined;
    if (conflict !== undefined) {
      return { ...noRewrite, held: `the column ${conflict} has the name of one that keeps row ids` };
    }
    const groups = this.#groups(base);
    const report = await this.#rewrite(groups, base, target, signal);
    if (isOfRows) return sum(report, await this.#mark(target, signal));
    const isIdle = groups.length === 0 && idleDeletes(liveFiles(base.manifests)).length > 0;
    return isIdle ? await this.#commit([], target, signal) : report;
  }

  #groups({ manifests, table: { metadata } }: Base): readonly RewriteGroup[] {
    const { limits, runtime } = this.#deps;
    const made = new Map(metadata.snapshots.map((each) => [each["snapshot-id"], each["timestamp-ms"]]));
    const now = runtime.clock.now();
    // A snapshot that is gone has been expired: it was old.
    const ageMs = (id: bigint): number => now - (made.get(id) ?? 0);
    return planRewrites(liveFiles(manifests), limits, ageMs, metadata["format-version"] === 3);
  }

  async #rewrite(
    groups: readonly RewriteGroup[],
    base: Base,
    target: RewriteTarget,
    signal: AbortSignal,
  ): Promise<RewriteReport> {
    const { limits } = this.#deps;
    const { metadata } = base.table;
    let report = noRewrite;
    let done: Done[] = [];
    let bytes = 0;
    for (const [index, group] of groups.entries()) {
      const result = await this.#carryOut(group, target, metadata, signal);
      if (typeof result === "string") {
        report = { ...report, held: result };
      } else {
        const files = await this.#upload(result, metadata);
        const { inputs } = group;
        const sequence = base.snapshot["sequence-number"];
        done.push({ replacement: { kind: "rewritten", inputs, files, sequence }, rowsDropped: result.rowsDropped });
        bytes += bytesOf(group);
      }
      if (done.length === 0 || (bytes < limits.commitBytes && index < groups.length - 1)) continue;
      report = sum(report, await this.#commit(done, target, signal));
      done = [];
      bytes = 0;
    }
    return report;
  }

  /** Resolves delete files into vectors; on a base of its own, for groups may have been committed meanwhile. */
  async #mark(target: RewriteTarget, signal: AbortSignal): Promise<RewriteReport> {
    const base = await this.#deps.committer.load(target);
    if (typeof base === "string") return { ...noRewrite, held: base };
    const done = await this.#vectors.write(base, target, signal);
    if (typeof done === "string") return { ...noRewrite, held: done };
    const isIdle = idleDeletes(liveFiles(base.manifests)).length > 0;
    return done.length > 0 || isIdle ? await this.#commit(done, target, signal) : noRewrite;
  }

  /** What the group's files became, or why they stay. */
  async #carryOut(
    group: RewriteGroup,
    target: RewriteTarget,
    metadata: TableMetadata,
    signal: AbortSignal,
  ): Promise<RewriteResult | string> {
    const { rewriter, limits } = this.#deps;
    const { partition } = (group.inputs[0] as RewriteGroup["inputs"][number]).entry.file;
    const schema = currentSchema(metadata);
    const written = metadata["format-version"] === 3 ? withLineage(schema) : schema;
    using _place = await this.#deps.jobs.enter();
    await using job = rewriter.begin({ schema: written, partition, targetFileBytes: limits.targetBytes });
    const reading: Reading = { ...this.#deps, target, signal };
    const held = await addDeletes(job, group.deletes, group.inputs, reading);
    if (held !== undefined) return held;
    for await (const input of rewriteInputs(group.inputs, reading)) {
      const answer = await job.add(input);
      if (answer.kind === "unreadable") return answer.reason;
    }
    return await job.finish();
  }

  async #upload(result: RewriteResult, metadata: TableMetadata): Promise<readonly DataFile[]> {
    const { warehouse, runtime } = this.#deps;
    const files: DataFile[] = [];
    for (const { bytes, file, partition } of result.files) {
      const path = uniqueUri(placesOf(metadata).data, "inlet-rewritten", ".parquet", runtime.random);
      await warehouse.create(path, bytes);
      files.push({ ...file, partition, path });
    }
    return files;
  }

  async #commit(done: readonly Done[], target: RewriteTarget, signal: AbortSignal): Promise<RewriteReport> {
    const outcome = await this.#deps.committer.commit(
      target,
      ({ manifests }, snapshotId) => {
        const isCurrent = currency(manifests);
        const current = done.filter(({ replacement }) => isCurrent(replacement));
        if (done.length > 0 && current.length === 0) return "others have changed the files meanwhile";
        const replacements = current.map(({ replacement }) => replacement);
        const plan = planReplace(manifests, replacements, snapshotId);
        const isEmpty = plan.removed.length === 0 && plan.added.length === 0;
        return isEmpty ? undefined : { plan, report: reportOf(plan, current) };
      },
      signal,
    );
    return outcome.kind === "committed" ? outcome.report : { ...noRewrite, held: outcome.held };
  }
}

function bytesOf({ inputs }: RewriteGroup): number {
  return inputs.reduce((bytes, { entry }) => bytes + entry.file.bytes, 0);
}

function reportOf({ added, removed }: ReturnType<typeof planReplace>, done: readonly Done[]): RewriteReport {
  const [dataIn, dataOut] = [removed, added].map((entries) => entries.filter(({ content }) => content === "data"));
  const bytes = (entries: typeof added = []): number => entries.reduce((sum, { file }) => sum + file.bytes, 0);
  return {
    filesIn: dataIn?.length ?? 0,
    filesOut: dataOut?.length ?? 0,
    bytesIn: bytes(dataIn),
    bytesOut: bytes(dataOut),
    rowsDropped: done.reduce((rows, each) => rows + each.rowsDropped, 0),
    deleteFilesDropped: removed.length - (dataIn?.length ?? 0),
    vectorsWritten: added.length - (dataOut?.length ?? 0),
    held: "",
  };
}

function sum(a: RewriteReport, b: RewriteReport): RewriteReport {
  return {
    filesIn: a.filesIn + b.filesIn,
    filesOut: a.filesOut + b.filesOut,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    rowsDropped: a.rowsDropped + b.rowsDropped,
    deleteFilesDropped: a.deleteFilesDropped + b.deleteFilesDropped,
    vectorsWritten: a.vectorsWritten + b.vectorsWritten,
    held: b.held === "" ? a.held : b.held,
  };
}

/**
 * Rewrites a table's files: reads its live entries, lets rewrite-plan.ts decide, carries groups out one after another, and
 * commits what they gave as REPLACE snapshots. Appends go first: before each step it waits until none is under way, and a
 * commit that meets another one is planned again on the new base, without the groups that are not true any more.
 *
 * Nothing is deleted here. What a dropped group or a lost commit has uploaded is named by nothing, and an orphan; what a commit
 * replaced goes with the expiry of the snapshots that still read it.
 */
import { sleep } from "../../base/async.ts";
import type { Runtime } from "../../base/runtime.ts";
import { liveFiles } from "../commit/live-entries.ts";
import { currentSchema } from "../commit/table-creation.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import type { DataFile } from "../iceberg/types.ts";
import { placesOf } from "../table-state.ts";
import { uniqueUri, type Warehouse } from "../warehouse.ts";
import { idleDeletes } from "./delete-scope.ts";
import type { ReplaceCommitter, RewriteTarget } from "./replace-commit.ts";
import { isCurrent, planReplace, type Replacement } from "./replace-plan.ts";
import type { RewriteResult } from "./rewrite-core.ts";
import { planRewrites, type RewriteGroup, type RewriteSettings } from "./rewrite-plan.ts";
import type { Rewriter } from "./rewriter.ts";

export interface TableRewriterDeps {
  readonly warehouse: Warehouse;
  readonly rewriter: Rewriter;
  readonly runtime: Runtime;
  readonly limits: TableRewriterLimits;
  readonly committer: ReplaceCommitter;
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
  held: "",
};

export class TableRewriter {
  readonly #deps: TableRewriterDeps;

  constructor(deps: TableRewriterDeps) {
    this.#deps = deps;
  }

  /** One pass over the table. Throws OperationFailed when catalog or store fail: nothing is half done then. */
  async run(target: RewriteTarget, signal: AbortSignal): Promise<RewriteReport> {
    const { limits, runtime } = this.#deps;
    const base = await this.#deps.committer.load(target);
    if (typeof base === "string") return { ...noRewrite, held: base };
    const { metadata } = base.table;
    const made = new Map(metadata.snapshots.map((each) => [each["snapshot-id"], each["timestamp-ms"]]));
    const now = runtime.clock.now();
    // A snapshot that is gone has been expired: it was old.
    const ageMs = (id: bigint): number => now - (made.get(id) ?? 0);
    const groups = planRewrites(liveFiles(base.manifests), limits, ageMs);
    let report = noRewrite;
    let done: { readonly replacement: Replacement; readonly rowsDropped: number }[] = [];
    let bytes = 0;
    for (const [index, group] of groups.entries()) {
      const result = await this.#carryOut(group, target, metadata, signal);
      if (typeof result === "string") {
        report = { ...report, held: result };
      } else {
        const files = await this.#upload(result, metadata);
        const sequence = base.snapshot["sequence-number"];
        done.push({ replacement: { group, files, sequence }, rowsDropped: result.rowsDropped });
        bytes += bytesOf(group);
      }
      if (done.length === 0 || (bytes < limits.commitBytes && index < groups.length - 1)) continue;
      report = sum(report, await this.#commit(done, target, signal));
      done = [];
      bytes = 0;
    }
    const isIdle = groups.length === 0 && idleDeletes(liveFiles(base.manifests)).length > 0;
    return isIdle ? await this.#commit([], target, signal) : report;
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
    const plan = { schema: currentSchema(metadata), partition, targetFileBytes: limits.targetBytes };
    await using job = rewriter.begin(plan);
    for (const { entry } of [...group.deletes, ...group.inputs]) {
      const { content, sequenceNumber: sequence, file } = entry;
      const { path, recordCount: rows } = file;
      if (file.format !== "PARQUET") return `${path} is ${file.format}`;
      const bytes = await this.#read(path, target, signal);
      const equalityIds = entry.equalityIds ?? [];
      const answer =
        content === "data"
          ? await job.add({ path, bytes, sequence, rows })
          : await job.addDelete({ kind: content, path, bytes, sequence, equalityIds });
      if (answer.kind === "unreadable") return answer.reason;
    }
    return await job.finish();
  }

  /** At the pace of the budget, and behind appends. */
  async #read(path: string, target: RewriteTarget, signal: AbortSignal): Promise<Uint8Array> {
    await target.turn(); // Appends first.
    const bytes = await this.#deps.warehouse.read(path);
    await sleep(this.#deps.runtime.clock, (bytes.length * 1000) / this.#deps.limits.bytesPerSecondMax, signal);
    return bytes;
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

  async #commit(
    done: readonly { readonly replacement: Replacement; readonly rowsDropped: number }[],
    target: RewriteTarget,
    signal: AbortSignal,
  ): Promise<RewriteReport> {
    const outcome = await this.#deps.committer.commit(
      target,
      ({ manifests }, snapshotId) => {
        const current = done.filter(({ replacement }) => isCurrent(replacement, manifests));
        if (done.length > 0 && current.length === 0) return "others have changed the files meanwhile";
        const replacements = current.map(({ replacement }) => replacement);
        const plan = planReplace(manifests, replacements, snapshotId);
        return plan.removed.length === 0 ? undefined : { plan, report: reportOf(plan, current) };
      },
      signal,
    );
    return outcome.kind === "committed" ? outcome.report : { ...noRewrite, held: outcome.held };
  }
}

function bytesOf({ inputs }: RewriteGroup): number {
  return inputs.reduce((bytes, { entry }) => bytes + entry.file.bytes, 0);
}

function reportOf(
  { added, removed }: ReturnType<typeof planReplace>,
  done: readonly { readonly rowsDropped: number }[],
): RewriteReport {
  const data = removed.filter(({ content }) => content === "data");
  return {
    filesIn: data.length,
    filesOut: added.length,
    bytesIn: data.reduce((bytes, { file }) => bytes + file.bytes, 0),
    bytesOut: added.reduce((bytes, { file }) => bytes + file.bytes, 0),
    rowsDropped: done.reduce((rows, each) => rows + each.rowsDropped, 0),
    deleteFilesDropped: removed.length - data.length,
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
    held: b.held === "" ? a.held : b.held,
  };
}

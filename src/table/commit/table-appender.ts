/**
 * Brings rounds into one Iceberg table, exactly once: load, settle, plan on the exact parent, commit; after a conflict or an
 * unknown outcome from the beginning. What a failed attempt uploaded is never deleted: a lost commit may still land. What
 * snapshots named that a commit of ours is known to have expired goes after a grace, for readers that are still at it.
 *
 * Crash anywhere: the next attempt settles. What was uploaded and is named by nothing stays as an orphan.
 */
import { type BackoffLimits, backoffDelayMs, sleep } from "../../base/async.ts";
import { assert, CorruptData, OperationFailed } from "../../base/errors.ts";
import type { Seq } from "../../base/ids.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { Logger } from "../../base/telemetry.ts";
import type { RoundManifest } from "../../metadata/events.ts";
import type { PendingRound } from "../../metadata/image.ts";
import { ObjectMissing } from "../../object-store/object-store.ts";
import type { Catalog, CommitOutcome, LoadedTable, TableChange, TableName } from "../catalog.ts";
import { type ManifestFile, writeManifestList } from "../iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import type { Update } from "../iceberg/updates.ts";
import { readRounds } from "../round-files.ts";
import { type CommitMark, renderMark } from "../rounds.ts";
import { placesOf } from "../table-state.ts";
import type { RoundProof } from "../tools/proof.ts";
import { noProof, type ProofName, type ProofStore } from "../tools/proof-store.ts";
import { uniqueUri, type Warehouse } from "../warehouse.ts";
import { type AppendPlan, planAppend, type RoundPart, type SnapshotStep, snapshotGroups } from "./append-plan.ts";
import type { ExpirySettings } from "./expire.ts";
import { isConfirmed, type PlaceColumns, tracesOf } from "./live-files.ts";
import type { MergeSettings } from "./manifest-merge.ts";
import { ManifestMerger } from "./manifest-merger.ts";
import { accepted, type Ledger, settle } from "./settle.ts";
import { SnapshotGarbage, type SnapshotGarbageOptions } from "./snapshot-garbage.ts";
import { manifestsOf } from "./table-files.ts";

export interface AppenderDeps {
  readonly catalog: Catalog;
  readonly warehouse: Warehouse;
  /** Where what the rows must be is kept. */
  readonly proofs: ProofStore;
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly limits: AppenderLimits;
  /** Of Inlet, for the snapshot summary. */
  readonly engineVersion: string;
}

export type AppenderLimits = {
  /** Between attempts of one commit; past the last the table waits for its next turn. */
  readonly commitRetry: BackoffLimits;
  /** A mark whose offsets take more than this keeps them in a file of their own. */
  readonly markBytesMax: number;
  /** Rounds whose manifest is older than this are checked file by file before they are committed. */
  readonly trustMs: number;
  /** When a table's manifests are joined, unless its properties say otherwise. */
  readonly merge: MergeSettings;
} & SnapshotGarbageOptions["limits"];

export interface AppendRequest {
  readonly table: TableName;
  /** Asked at each attempt: what others settled meanwhile counts. */
  readonly ledger: () => Ledger;
  /** The rounds to bring in when all up to `since` are there. Only an empty list means that nothing is to be done. */
  readonly rounds: (since: Seq) => readonly PendingRound[];
  /** Manifests of all rounds that are pending: never deleted, whatever else names them. */
  readonly waiting: () => ReadonlySet<string>;
  /** The round's manifests for this table; none: the round has nothing for it. */
  readonly manifestsOf: (round: PendingRound) => readonly RoundManifest[];
  readonly markFor: (upTo: Seq) => Omit<CommitMark, "wrote">;
  /** A person takes the table as it is: commits even without rounds, to leave a new mark on whatever is there. */
  readonly accept: boolean;
  /** Proof of what was written, when history was cut. */
  readonly columns: PlaceColumns;
  /** Makes the table when it is missing; null: it must exist. */
  readonly creation: readonly Update[] | null;
  readonly expire: ExpirySettings;
  readonly proof: ProofName;
}

export type AppendOutcome =
  /** All rounds up to `seq` are in the table. `snapshotId` null: they were there before. */
  | { readonly kind: "appended"; readonly seq: Seq; readonly snapshotId: bigint | null; readonly table: LoadedTable }
  | { readonly kind: "diverged" | "paused"; readonly reason: string }
  /** The round's files are lost or damaged; nothing was committed. */
  | { readonly kind: "damaged"; readonly seq: Seq; readonly reason: string }
  | { readonly kind: "superseded"; readonly by: Seq }
  /** The catalog or the store cannot be reached, or every attempt met a conflict: later. */
  | { readonly kind: "unavailable"; readonly cause: unknown };

export class TableAppender {
  readonly #deps: AppenderDeps;
  readonly #garbage: SnapshotGarbage;

  constructor(deps: AppenderDeps) {
    this.#deps = deps;
    const { warehouse, logger, limits } = deps;
    this.#garbage = new SnapshotGarbage({ warehouse, logger, limits, clock: deps.runtime.clock });
  }

  /** Files of expired snapshots that wait for their deletion. */
  expiredFiles(): readonly string[] {
    return [...this.#garbage.waiting()];
  }

  async append(request: AppendRequest, signal: AbortSignal): Promise<AppendOutcome> {
    const step = this.#stepOf(request);
    return await this.#repeat(request, signal, async () => {
      const planned = await step();
      return planned.kind === "planned" ? await this.#commit(planned) : planned;
    });
  }

  /**
   * Both, or neither, where the catalog can do that; elsewhere the first, and then the second. The outcome is that of the
   * second, or what kept the first from its end.
   */
  async appendTogether(first: AppendRequest, second: AppendRequest, signal: AbortSignal): Promise<AppendOutcome> {
    const [stepOfFirst, stepOfSecond] = [this.#stepOf(first), this.#stepOf(second)];
    return await this.#repeat(second, signal, async () => {
      const one = await stepOfFirst();
      if (one.kind !== "planned" && one.kind !== "appended") return one;
      const other = await stepOfSecond();
      if (other.kind !== "planned" && other.kind !== "appended") return other;
      if (one.kind === "planned" && other.kind === "planned") return await this.#commitBoth(one, other);
      if (one.kind === "planned") {
        const done = await this.#commit(one);
        if (done.kind !== "appended") return done;
      }
      return other.kind === "planned" ? await this.#commit(other) : other;
    });
  }

  async #repeat(
    { table }: AppendRequest,
    signal: AbortSignal,
    attemptOnce: () => Promise<AppendOutcome | Again>,
  ): Promise<AppendOutcome> {
    const { runtime, limits, logger } = this.#deps;
    await this.#garbage.sweep();
    let cause: unknown;
    for (let attempt = 1; attempt <= limits.commitRetry.attemptsMax; attempt += 1) {
      if (attempt > 1) {
        await sleep(runtime.clock, backoffDelayMs(limits.commitRetry, attempt - 1, runtime.random), signal);
      }
      try {
        const answer = await attemptOnce();
        if (answer.kind !== "again") return answer;
        cause = answer.cause;
      } catch (failure) {
        // A failed request says nothing about the table: the next attempt settles again.
        if (!(failure instanceof OperationFailed) && !(failure instanceof CorruptData)) throw failure;
        cause = failure;
      }
      logger.warn("a table commit is tried again", { table: table.name, attempt, error: cause });
    }
    // The log and settling know nothing of it, and waiting brings no file back: a person must see it.
    if (cause instanceof ObjectMissing)
      return { kind: "paused", reason: `a file of the table is lost: ${cause.message}` };
    if (cause instanceof CorruptData)
      return { kind: "paused", reason: `a file of the table is damaged: ${cause.message}` };
    return { kind: "unavailable", cause };
  }

  #stepOf(request: AppendRequest): () => Promise<Planned | AppendOutcome | Again> {
    const { runtime, limits, logger, warehouse } = this.#deps;
    const merger = new ManifestMerger({ warehouse, random: runtime.random, logger, defaults: limits.merge });
    return () => this.#prepare(request, merger);
  }

  async #prepare(request: AppendRequest, merger: ManifestMerger): Promise<Planned | AppendOutcome | Again> {
    const loaded = await this.#load(request);
    if (loaded.kind !== "loaded") return loaded;
    const { table } = loaded;
    const unfit = unsupported(table.metadata);
    if (unfit !== undefined) return { kind: "paused", reason: unfit };
    const settled = await this.#settled(request, table.metadata);
    if (settled.kind !== "settled") return settled;
    const rounds = request.rounds(settled.seq);
    if (rounds.length === 0 && !request.accept) {
      return { kind: "appended", seq: settled.seq, snapshotId: null, table };
    }
    const upTo = rounds.at(-1)?.seq ?? settled.seq;
    return await this.#planned(request, merger, { table, rounds, upTo, before: settled.mark });
  }

  async #load(
    request: AppendRequest,
  ): Promise<{ readonly kind: "loaded"; readonly table: LoadedTable } | AppendOutcome | Again> {
    const { catalog } = this.#deps;
    const table = await catalog.load(request.table);
    if (table !== undefined) return { kind: "loaded", table };
    if (request.creation === null) return { kind: "diverged", reason: "the table is not in its catalog any more" };
    const created = await catalog.create(request.table, request.creation);
    if (created.kind === "created") return { kind: "loaded", table: created.table };
    return { kind: "again", cause: created.kind === "unknown" ? created.cause : "somebody else created the table" };
  }

  async #settled(request: AppendRequest, metadata: TableMetadata) {
    if (request.accept) return accepted(metadata, request.ledger());
    const settled = settle(metadata, request.ledger());
    if (settled.kind !== "confirm") return settled;
    const { warehouse } = this.#deps;
    const manifests = await manifestsOf(warehouse, currentSnapshot(metadata));
    const confirmed = await isConfirmed(settled.mark, { manifests, metadata, columns: request.columns, warehouse });
    if (confirmed) return { kind: "settled", seq: settled.mark.seq, mark: settled.mark } as const;
    const reason = `the snapshot of commit ${settled.mark.seq} was expired, and its rows are not in the live files`;
    return { kind: "diverged", reason } as const;
  }

  async #planned(
    request: AppendRequest,
    merger: ManifestMerger,
    step: {
      readonly table: LoadedTable;
      readonly rounds: readonly PendingRound[];
      readonly upTo: Seq;
      readonly before: CommitMark | null;
    },
  ): Promise<Planned | AppendOutcome | Again> {
    const { warehouse, runtime, limits } = this.#deps;
    const { metadata } = step.table;
    const reading = { warehouse, clock: runtime.clock, trustMs: limits.trustMs };
    const read = await readRounds(step.rounds, request.manifestsOf, metadata, reading);
    if (read.kind !== "files") return read;
    const { parts } = read;
    const inherited = await manifestsOf(warehouse, currentSnapshot(metadata));
    const present = new Set(inherited.map((manifest) => manifest.path));
    const twice = parts.flatMap(({ files }) => files).find((file) => present.has(file.path));
    // Settling said that it is not there: appending it again would double its rows (rule C9).
    if (twice !== undefined) return { kind: "diverged", reason: `main already holds ${twice.path} without our mark` };
    await this.#deps.proofs.advance(request.proof, {
      before: step.before,
      mark: request.markFor(step.upTo),
      rounds: step.rounds.map(({ seq, ranges }) => ({
        ranges,
        proof: proofOf(parts.find((part) => part.seq === seq)),
      })),
      isAccepted: request.accept,
    });
    const steps = await this.#steps(request, metadata, { ...step, parts });
    const plan = await this.#plan(request, merger, metadata, { inherited, steps });
    return { kind: "planned", request, plan, base: metadata, upTo: step.upTo, before: step.before };
  }

  async #commit(planned: Planned): Promise<AppendOutcome | Again> {
    const { table, requirements, updates } = changeOf(planned);
    const outcome = await this.#deps.catalog.commit(table, requirements, updates);
    return outcome.kind === "committed" ? await this.#done(planned, outcome.table) : again(outcome);
  }

  async #commitBoth(first: Planned, second: Planned): Promise<AppendOutcome | Again> {
    const { catalog } = this.#deps;
    const outcome = (await catalog.commitAll?.([changeOf(first), changeOf(second)])) ?? { kind: "unsupported" };
    switch (outcome.kind) {
      case "unsupported": {
        const done = await this.#commit(first);
        return done.kind === "appended" ? await this.#commit(second) : done;
      }
      case "conflict":
      case "unknown":
        return again(outcome);
      case "committed": {
        // The answer holds no table. Should it not come, settling finds both commits in.
        const table = await catalog.load(second.request.table);
        if (table === undefined) return { kind: "again", cause: "the table is gone after its commit" };
        await this.#forget(first);
        return await this.#done(second, table);
      }
    }
  }

  async #done(planned: Planned, table: LoadedTable): Promise<AppendOutcome> {
    await this.#forget(planned);
    return { kind: "appended", seq: planned.upTo, snapshotId: planned.plan.snapshotId, table };
  }

  async #forget({ request, base, plan, before }: Planned): Promise<void> {
    await this.#collect(request, base, plan);
    await this.#deps.proofs.forget(request.proof, before?.seq ?? (0 as Seq));
  }

  /** Only after a commit that is known to have happened. */
  async #collect(request: AppendRequest, before: TableMetadata, plan: AppendPlan): Promise<void> {
    const expired = new Set(
      plan.updates.flatMap((update) => (update.action === "remove-snapshots" ? update["snapshot-ids"] : [])),
    );
    if (expired.size === 0) return;
    await this.#garbage.collect({
      before,
      expired,
      current: plan.snapshots.at(-1)?.manifests ?? [],
      pending: request.waiting(),
    });
  }

  /** One a snapshot, each with the mark of what is in the table with it. */
  async #steps(
    request: AppendRequest,
    base: TableMetadata,
    commit: { readonly parts: readonly RoundPart[]; readonly upTo: Seq; readonly before: CommitMark | null },
  ): Promise<readonly SnapshotStep[]> {
    const { random } = this.#deps.runtime;
    const groups = snapshotGroups(commit.parts);
    const steps: SnapshotStep[] = [];
    let wrote = commit.before?.wrote ?? [];
    for (const [index, group] of groups.entries()) {
      const files = group.flatMap((part) => part.files);
      const rows = files.flatMap((file) => file.entries).filter((entry) => entry.content === "data");
      const traces = tracesOf(rows, request.columns);
      if (traces.length > 0) wrote = traces; // A commit without rows is recognised by the rows of the one before it.
      const upTo = index === groups.length - 1 ? commit.upTo : (group.at(-1) as RoundPart).seq;
      const snapshotId = this.#snapshotId(base, steps);
      const manifestList = uniqueUri(placesOf(base).metadata, `snap-${snapshotId}`, ".avro", random);
      const mark = await this.#markText({ ...request.markFor(upTo), wrote }, base);
      steps.push({ files, snapshotId, manifestList, mark });
    }
    return steps;
  }

  async #plan(
    request: AppendRequest,
    merger: ManifestMerger,
    base: TableMetadata,
    parts: { readonly inherited: readonly ManifestFile[]; readonly steps: readonly SnapshotStep[] },
  ): Promise<AppendPlan> {
    const { warehouse, runtime, engineVersion } = this.#deps;
    const [first] = parts.steps;
    assert(first !== undefined, "a commit has a snapshot");
    const { snapshotId } = first;
    const added = parts.steps.flatMap((step) => step.files);
    const commit = { snapshotId, sequenceNumber: base["last-sequence-number"] + 1 };
    const inherited = await merger.merge(base, parts.inherited, added, commit);
    const nowMs = runtime.clock.now();
    const expire = this.#deps.catalog.isSelfMaintained === true ? null : request.expire;
    const plan = planAppend({ base, inherited, steps: parts.steps, engineVersion, nowMs, expire });
    for (const { parentId: parentSnapshotId, manifestList, ...snapshot } of plan.snapshots)
      await warehouse.create(manifestList, writeManifestList({ ...snapshot, parentSnapshotId }));
    return plan;
  }

  /** Offsets of many partitions would swell every snapshot: they go to a file that the mark names. */
  async #markText(mark: CommitMark, base: TableMetadata): Promise<string> {
    const text = renderMark(mark);
    if (Buffer.byteLength(text) <= this.#deps.limits.markBytesMax) return text;
    const uri = uniqueUri(placesOf(base).metadata, "inlet-offsets", ".json", this.#deps.runtime.random);
    await this.#deps.warehouse.create(uri, Buffer.from(text));
    return renderMark({ ...mark, offsets: uri });
  }

  /** Rule E1: positive, random, and not taken. */
  #snapshotId(base: TableMetadata, planned: readonly SnapshotStep[]): bigint {
    const bytes = new Uint8Array(8);
    for (;;) {
      this.#deps.runtime.random.fill(bytes);
      const id = new DataView(bytes.buffer).getBigInt64(0) & 0x7fff_ffff_ffff_ffffn;
      const isTaken =
        base.snapshots.some((snapshot) => snapshot["snapshot-id"] === id) ||
        planned.some((step) => step.snapshotId === id);
      if (id !== 0n && !isTaken) return id;
    }
  }
}

/** A round without rows for the table proves that it has none; one with deletes proves nothing of what others wrote. */
function proofOf(part: RoundPart | undefined): RoundProof | undefined {
  if (part?.files.some(({ content }) => content === "deletes") === true) return undefined;
  const rows = part?.files.find(({ content }) => content === "data");
  return rows === undefined ? noProof : rows.proof;
}

interface Again {
  readonly kind: "again";
  readonly cause: unknown;
}

/** All that was uploaded for a commit, and what it asks of the catalog. */
interface Planned {
  readonly kind: "planned";
  readonly request: AppendRequest;
  readonly plan: AppendPlan;
  readonly base: TableMetadata;
  readonly upTo: Seq;
  readonly before: CommitMark | null;
}

function changeOf({ request, plan }: Planned): TableChange {
  return { table: request.table, requirements: plan.requirements, updates: plan.updates };
}

function again(outcome: Exclude<CommitOutcome, { readonly kind: "committed" }>): Again {
  return { kind: "again", cause: outcome.kind === "conflict" ? outcome.detail : outcome.cause };
}

function currentSnapshot(metadata: TableMetadata): Snapshot | undefined {
  return metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] === metadata["current-snapshot-id"]);
}

/** What we cannot write without breaking it for its readers. */
function unsupported(table: TableMetadata): string | undefined {
  const version = table["format-version"];
  if (version === 1) return "format version 1: tables are written in versions 2 and 3";
  if (table.properties["encryption.key-id"] !== undefined) return "the table is encrypted";
  return undefined;
}

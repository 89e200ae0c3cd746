/**
 * A node's hold on the metadata log.
 *
 *   propose ──▶ queue ──batch──▶ append (one in flight, repeated under its opId) ──▶ seq
 *                                                                                     │ read what others wrote before it
 *   poll ─────────────────────────────────────────────────────────▶ follow ──fold──▶ image ──▶ listeners, then proposers
 *
 * Only the follow lane changes the image. Whatever makes the image doubtful (a broken chain, another process under this
 * node's id) ends the client: proposals reject, and `failed` is told so that the process stops.
 */
import { crc32c } from "@node-rs/crc32";
import { type BackoffLimits, backoffDelayMs, Lane, Loop, sleep } from "../base/async.ts";
import { assert, Closed, CorruptData, OperationFailed } from "../base/errors.ts";
import { type NodeEpoch, type NodeId, type Seq, uuidRandom } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import { type CasLog, EntriesForgotten, type LogEntry, type StoredEntry } from "./cas-log.ts";
import { decodeImageSteps, encodeImage } from "./checkpoint.ts";
import { Fenced, type MetadataClient, type Proposal } from "./client.ts";
import { chained, sameHash } from "./entry-format.ts";
import { encodedBytes, encodeGroups } from "./event-codec.ts";
import type { MetadataEvent } from "./events.ts";
import { fold } from "./fold.ts";
import type { Image } from "./image.ts";
import { type Decision, ImageState } from "./image-state.ts";
import { ProposalQueue } from "./proposal-queue.ts";

export interface MetadataOptions {
  /** Shared or not, it is closed by whoever opened it, after the client. */
  readonly log: CasLog;
  readonly nodeId: NodeId;
  /** Where others and clients reach this node. */
  readonly node: { readonly host: string; readonly port: number; readonly rack: string | null };
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly limits: MetadataLimits;
  /** Told once, when the node may not go on: Fenced, CorruptData, or what the log threw. */
  readonly failed: (cause: unknown) => void;
  /** Once aborted, an outage is waited out for so long, and no longer: all who wait for proposals must get to their end. */
  readonly stopping?: { readonly signal: AbortSignal; readonly outageMsMax: number };
}

export interface MetadataLimits {
  /** How often the log is asked for what others wrote. */
  readonly pollMs: number;
  /** Entries read at a time. */
  readonly readEntriesMax: number;
  /** Proposals in one entry. */
  readonly batchProposalsMax: number;
  readonly batchBytesMax: number;
  /** Proposals that wait; a further one is refused at once. */
  readonly proposalsWaitingMax: number;
  /** Entries from one checkpoint to the next. */
  readonly checkpointEntries: number;
  /** Between repeats of an append whose outcome is unknown. There is no last one: the outage may end. */
  readonly retry: Pick<BackoffLimits, "delayMsMin" | "delayMsMax">;
}

/** After this long on the event loop the next step of encoding or decoding a checkpoint waits: a step is well below a millisecond. */
const sliceMs = 2;

/** Loads the image, registers the node under a new epoch, and resolves when the image holds that. */
export async function openMetadata(options: MetadataOptions): Promise<MetadataClient> {
  const client = new FollowingClient(options);
  try {
    await client.start();
    return client;
  } catch (cause) {
    await client[Symbol.asyncDispose]();
    throw cause;
  }
}

class FollowingClient implements MetadataClient {
  readonly nodeId: NodeId;
  nodeEpoch = 0 as NodeEpoch;
  readonly #options: MetadataOptions;
  readonly #queue: ProposalQueue;
  readonly #follow = new Lane();
  readonly #checkpoints = new Lane();
  readonly #listeners = new Set<(events: readonly MetadataEvent[], seq: Seq) => void>();
  readonly #stop = new AbortController();
  #image = new ImageState();
  #checkpointSeq = 0 as Seq;
  #pump: Promise<void> | undefined;
  #poll: Loop | undefined;
  #failure: Error | undefined;

  constructor(options: MetadataOptions) {
    this.nodeId = options.nodeId;
    this.#options = options;
    this.#queue = new ProposalQueue(options.limits);
  }

  get image(): Image {
    return this.#image;
  }

  async start(): Promise<void> {
    await this.#follow.run(() => this.#loadCheckpoint());
    await this.#follow.run(() => this.#catchUp());
    const { host, port, rack } = this.#options.node;
    const incarnation = uuidRandom(this.#options.runtime.random);
    const register = { kind: "register-node", nodeId: this.nodeId, incarnation, host, port, rack } as const;
    const decision = await this.#decide(this.#entry([[register]]));
    assert(decision.refusals[0] === null, "a registration of oneself is always accepted");
    this.nodeEpoch = decision.seq as number as NodeEpoch;
    this.#poll = new Loop({
      clock: this.#options.runtime.clock,
      intervalMs: this.#options.limits.pollMs,
      turn: () => this.#follow.run(() => this.#catchUp()),
      failed: (cause) => this.#pollFailed(cause),
    });
  }

  async propose(events: readonly MetadataEvent[]): Promise<Proposal> {
    if (this.#failure !== undefined) throw this.#failure;
    assert(events.length > 0, "a proposal holds events");
    const outcome = this.#queue.add(events, encodedBytes(events));
    this.#pump ??= this.#runPump();
    return await outcome;
  }

  onChange(listener: (events: readonly MetadataEvent[], seq: Seq) => void): Disposable {
    const own = (events: readonly MetadataEvent[], seq: Seq): void => listener(events, seq); // One listener may come twice.
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new Closed("metadata client"));
    await this.#poll?.[Symbol.asyncDispose]();
    await this.#pump;
    await this.#follow.close();
    await this.#checkpoints.close();
  }

  /** Never rejects: what goes wrong goes to the proposers, and to `failed`. */
  async #runPump(): Promise<void> {
    for (let batch = this.#queue.take(); batch.length > 0; batch = this.#queue.take()) {
      try {
        const decision = await this.#decide(this.#entry(batch.map(({ events }) => events)));
        for (const [index, { resolve }] of batch.entries()) resolve(proposalOf(decision, index));
        this.#checkpointWhenDue();
      } catch (cause) {
        const failure = this.#failure ?? asError(cause);
        const isDoubtful = !(failure instanceof Fenced);
        for (const { reject } of batch) reject(isDoubtful ? doubt(failure) : failure);
        this.#halt(failure);
        break;
      }
    }
    // In the turn in which the queue was found empty: a proposal that comes a moment later must start a pump of its own.
    this.#pump = undefined;
  }

  #entry(groups: readonly (readonly MetadataEvent[])[]): LogEntry {
    const opId = uuidRandom(this.#options.runtime.random);
    return { nodeId: this.nodeId, nodeEpoch: this.nodeEpoch, opId, events: encodeGroups(groups) };
  }

  /** Appends the entry until the log says where it is, follows the log to there, and returns what the fold decided. */
  async #decide(entry: LogEntry): Promise<Decision> {
    const seq = await this.#append(entry);
    await this.#persist(() => this.#follow.run(() => this.#catchUpTo(seq, entry)));
    const decision = this.#image.decision(entry.nodeId, entry.opId);
    if (decision !== undefined) return decision;
    const by = this.#image.node(entry.nodeId)?.epoch ?? (0 as NodeEpoch);
    if (by !== entry.nodeEpoch) throw new Fenced(by); // A fenced entry leaves no decision behind.
    throw this.#rolledBack(seq, "not the entry that the log has answered");
  }

  async #catchUpTo(seq: Seq, own: LogEntry): Promise<void> {
    const isNext = seq === this.#image.seq + 1;
    if (isNext)
      this.#fold(chained(own, seq, this.#image.hash)); // Nobody wrote in between: nothing to read.
    else if (seq > this.#image.seq) await this.#catchUp();
    if (this.#image.seq < seq) throw this.#rolledBack(seq, `it ends at ${this.#image.seq}`);
  }

  async #append(entry: LogEntry): Promise<Seq> {
    return await this.#persist(async () => {
      const outcome = await this.#options.log.append(entry);
      if (outcome.kind === "ok") return outcome.seq;
      throw new OperationFailed("append with unknown outcome", { happened: "maybe", cause: outcome.cause });
    });
  }

  /** Repeats what an outage prevents for as long as it lasts, or until the client ends. */
  async #persist<T>(work: () => Promise<T>): Promise<T> {
    const { runtime, limits, logger, stopping } = this.#options;
    const beganMs = runtime.clock.monotonic();
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (cause) {
        if (this.#failure !== undefined) throw this.#failure;
        if (!(cause instanceof OperationFailed)) throw cause;
        logger.warn("the metadata log does not answer", { attempt, cause });
        if (stopping?.signal.aborted === true && runtime.clock.monotonic() - beganMs >= stopping.outageMsMax) {
          this.#fail(new Closed("metadata client"));
          throw cause;
        }
        const delayMs = backoffDelayMs({ ...limits.retry, attemptsMax: 0 }, attempt, runtime.random);
        await sleep(runtime.clock, delayMs, this.#stop.signal);
      }
    }
  }

  /** Folds what the log holds beyond the image. The entry before is read again: it must not have changed. */
  async #catchUp(): Promise<void> {
    const { log, limits } = this.#options;
    let isAnchored = this.#image.seq > this.#checkpointSeq;
    for (;;) {
      const from = (isAnchored ? this.#image.seq : this.#image.seq + 1) as Seq;
      let entries: readonly StoredEntry[];
      try {
        entries = await log.read(from, limits.readEntriesMax);
      } catch (cause) {
        if (!(cause instanceof EntriesForgotten)) throw cause;
        if (isAnchored) isAnchored = false;
        else await this.#loadCheckpoint();
        continue;
      }
      if (isAnchored) this.#requireAnchor(entries[0]);
      for (const entry of entries) this.#fold(entry);
      if (entries.length < limits.readEntriesMax) return;
      isAnchored = false; // Once is enough: from here on the fold checks the chain.
    }
  }

  #requireAnchor(found: StoredEntry | undefined): void {
    if (found?.seq === this.#image.seq && sameHash(found.hash, this.#image.hash)) return;
    throw this.#rolledBack(this.#image.seq, found === undefined ? "it ends before" : "another history");
  }

  #rolledBack(seq: Seq, found: string): CorruptData {
    return new CorruptData({ source: "metadata log", position: seq, expected: `entry ${seq} as it was`, found });
  }

  /** No await in here: an image is never seen between an entry and its listeners. */
  #fold(entry: StoredEntry): void {
    fold(this.#image, entry, (events) => this.#notify(events, entry.seq));
    const by = this.#image.node(this.nodeId)?.epoch;
    if (this.nodeEpoch !== 0 && by !== undefined && by !== this.nodeEpoch) this.#halt(new Fenced(by));
  }

  #notify(events: readonly MetadataEvent[], seq: Seq): void {
    for (const listener of this.#listeners) listener(events, seq);
  }

  async #loadCheckpoint(): Promise<void> {
    const checkpoint = await this.#options.log.readCheckpoint();
    if (checkpoint === undefined || checkpoint.seq <= this.#image.seq) return;
    const { seq, image } = checkpoint;
    this.#image = await this.#inSlices(decodeImageSteps(image, `metadata checkpoint ${seq}`));
    assert(this.#image.seq === checkpoint.seq, "a checkpoint holds the image of its seq");
    this.#checkpointSeq = checkpoint.seq;
    const by = this.#image.node(this.nodeId)?.epoch;
    if (this.nodeEpoch !== 0 && by !== this.nodeEpoch) this.#halt(new Fenced(by ?? (0 as NodeEpoch)));
    this.#notify([], this.#image.seq);
  }

  #checkpointWhenDue(): void {
    if (this.#image.seq - this.#checkpointSeq < this.#options.limits.checkpointEntries) return;
    this.#checkpointSeq = this.#image.seq;
    this.#checkpoints
      .run(() => this.#writeCheckpoint())
      .catch((cause: unknown) => {
        if (!(cause instanceof OperationFailed)) this.#halt(asError(cause));
        else this.#options.logger.warn("no metadata checkpoint was written; the next one will be", { cause });
      });
  }

  /** The fold waits while the image is encoded. */
  async #writeCheckpoint(): Promise<void> {
    const checkpoint = await this.#follow.run(async () => {
      const { seq, hash } = this.#image;
      const views: Uint8Array[] = [];
      await this.#inSlices(encodeImage(this.#image), (page) => views.push(...page));
      return { seq, hash, views };
    });
    const { seq, hash, views } = checkpoint;
    const image = new Uint8Array(views.reduce((sum, { length }) => sum + length, 0));
    const imageCrc = await this.#inSlices(copySteps(views, image));
    await this.#options.log.writeCheckpoint({ seq, hash, image, imageCrc });
  }

  /** Runs the steps in slices, so that others run in between. */
  async #inSlices<Step, Result>(steps: Iterator<Step, Result>, take: (step: Step) => void = () => {}): Promise<Result> {
    const { clock } = this.#options.runtime;
    let slice = clock.monotonic();
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done === true) return step.value;
      take(step.value);
      if (clock.monotonic() - slice < sliceMs) continue;
      await sleep(clock, 0);
      slice = clock.monotonic();
    }
  }

  /** An outage is waited out; anything that says that the log is not what it was ends the client. */
  #pollFailed(cause: unknown): void {
    if (!(cause instanceof OperationFailed)) this.#halt(asError(cause));
    else this.#options.logger.warn("the metadata log does not answer", { cause });
  }

  /** Not called for a close: that is nobody's failure. */
  #halt(cause: Error): void {
    if (this.#failure !== undefined) return;
    this.#fail(cause);
    this.#options.failed(cause);
  }

  #fail(cause: Error): void {
    this.#failure ??= cause;
    this.#stop.abort(this.#failure);
    this.#queue.close(this.#failure);
  }
}

function proposalOf(decision: Decision, index: number): Proposal {
  const refusal = decision.refusals[index];
  assert(refusal !== undefined, "a decision for every group");
  return refusal === null ? { kind: "accepted", seq: decision.seq } : { kind: "refused", refusal };
}

/** Returns the CRC-32C of all of them. */
function* copySteps(views: readonly Uint8Array[], into: Uint8Array): Generator<undefined, number> {
  let at = 0;
  let crc = 0;
  for (const view of views) {
    into.set(view, at);
    crc = crc32c(view, crc);
    at += view.length;
    yield;
  }
  return crc;
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new OperationFailed(String(cause), { happened: "maybe", cause });
}

/** The entry was on its way: it may stand in the log, and the fold will decide about it. */
function doubt(cause: Error): OperationFailed {
  return new OperationFailed(`proposal undecided: ${cause.message}`, { happened: "maybe", cause });
}

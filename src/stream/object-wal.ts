/**
 * The WAL in the object store: slots, each an object that is durable when the store has answered.
 *
 *   append ──▶ draft ──close──▶ closed drafts ──▶ | slots in flight | ──▶ durable
 *              by size, time, or a cut             W at most             in order of seq
 *
 * A slot is put if nothing is there under its name. What a put that went wrong has done is found out by doing it again: it
 * meets an empty place, its own slot, or another's. The last is a seal: another process has ended this WAL, and nothing
 * becomes durable any more. A store in trouble is waited out.
 */
import { assert, OperationFailed } from "../base/errors.ts";
import { type NodeEpoch, type Uuid, uuidRandom, uuidZero } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { NodeEvent } from "../metadata/events.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { UploadLimits } from "./limits.ts";
import { framedBytes, type ObjectOrigin } from "./object-format.ts";
import { type PersistOptions, persist } from "./persist.ts";
import { SlotDraft } from "./slot-draft.ts";
import { decodeSlotHead, type EncodedSlot, encodeSlot, type SlotName, slotHeadBytes } from "./slot-format.ts";
import { type DurableSlot, SlotLedger } from "./slot-ledger.ts";
import { SlotPace, type SlotPaceLimits } from "./slot-pace.ts";
import { recoverSlots } from "./slot-recovery.ts";
import type { Wal, WalEntry, WalPosition, WalRecord, WalSlots } from "./wal.ts";

export interface ObjectWalLimits
  extends SlotPaceLimits,
    Pick<UploadLimits, "blockBytesMax" | "uploadRetryDelayMsMin" | "uploadRetryDelayMsMax"> {
  readonly walBytesMax: number;
  /** A slot is closed when it holds this many bytes. */
  readonly walSlotBytesMax: number;
  readonly walSlotsInFlightMax: number;
  /** How long closing waits for a store in trouble; what is not durable by then has failed. */
  readonly walCloseMsMax: number;
}

export interface ObjectWalOptions {
  readonly store: ObjectStore;
  readonly metadata: MetadataClient;
  readonly runtime: Runtime;
  readonly limits: ObjectWalLimits;
  readonly logger: Logger;
}

export class ObjectWal implements Wal {
  readonly bytesMax: number;
  readonly slots: WalSlots;
  readonly #options: ObjectWalOptions;
  readonly #origin: ObjectOrigin;
  readonly #persistence: PersistOptions;
  readonly #ledger: SlotLedger;
  readonly #pace: SlotPace;
  readonly #stop = new AbortController();
  /** Not yet in flight, oldest first; the last one is open. */
  readonly #drafts: SlotDraft[] = [new SlotDraft()];
  #draftBytes = 0;
  readonly #flights: Flight[] = [];
  #flightBytes = 0;
  #timer: Disposable | undefined;
  #closedInTime: () => void = () => undefined;
  /** Removals of trimmed slots. */
  #removals: Promise<void> = Promise.resolve();
  #failure: OperationFailed | undefined;
  /** Of the next slot. */
  #seq = 0;
  #previous: Uuid = uuidZero;

  constructor(options: ObjectWalOptions) {
    const { limits, metadata, runtime } = options;
    const { nodeId: node, nodeEpoch } = metadata;
    this.#options = options;
    this.bytesMax = limits.walBytesMax;
    this.#origin = { cluster: metadata.image.clusterId, node, nodeEpoch };
    this.#persistence = { ...options, signal: this.#stop.signal };
    this.#ledger = new SlotLedger();
    this.#pace = new SlotPace(limits, runtime.clock.monotonic());
    this.slots = {
      cut: () => this.#close(),
      onTimeClose: (listener) => {
        this.#closedInTime = listener;
      },
      upTo: (position) => this.#ledger.upTo(position).map(({ object }) => object),
      release: (position) => this.#release(position),
    };
  }

  get durable(): WalPosition {
    return this.#ledger.end;
  }

  get bytesUsed(): number {
    return this.#ledger.bytes + this.#flightBytes + this.#draftBytes;
  }

  async recover(visit: (record: WalRecord, end: WalPosition) => void): Promise<void> {
    const { store, metadata, limits } = this.#options;
    for (const wal of metadata.image.wals(metadata.nodeId)) {
      const found = { ...this.#persistence, store, origin: this.#origin, node: metadata.nodeId, wal };
      await recoverSlots(found, (slot) => {
        const start = this.#ledger.end;
        this.#ledger.add({ name: slot.head, object: slot.object });
        slot.records.forEach((record, i) => {
          visit(record, i === slot.records.length - 1 ? this.#ledger.end : start);
        });
      });
    }
    const proposal = await metadata.propose([{ kind: "open-wal", slotsInFlightMax: limits.walSlotsInFlightMax }]);
    if (proposal.kind === "accepted") return;
    throw new OperationFailed(`cannot open a WAL: ${JSON.stringify(proposal.refusal)}`, { happened: "no" });
  }

  append(entry: WalEntry): void {
    if (this.#failure !== undefined) {
      entry.failed(this.#failure);
      return;
    }
    if (!this.#open.admits(entry, this.#options.limits.walSlotBytesMax)) this.#close();
    this.#open.add(entry);
    this.#draftBytes += framedBytes(entry);
    if (this.#open.bytes >= this.#options.limits.walSlotBytesMax) this.#close();
    else if (this.#open.entries.length === 1) this.#arm();
  }

  async trim(position: WalPosition): Promise<void> {
    assert(position <= this.durable, "only what is durable can be trimmed");
    const { metadata } = this.#options;
    const events = this.#release(position);
    // Before a slot is gone: a recovery that missed it would call it lost.
    if (events.length > 0) await metadata.propose(events);
    const gone = this.#ledger.trim(position);
    const keys = gone.map(({ object }) => object.key).filter((key) => metadata.image.object(key) === undefined);
    if (keys.length > 0) this.#remove(keys);
  }

  async abandon(): Promise<void> {
    this.#fail(new OperationFailed("abandoned", { happened: "no" }));
    const { metadata } = this.#options;
    const epoch = (metadata.nodeEpoch + 1) as NodeEpoch; // After this process's own, and so none is left.
    await metadata.propose([{ kind: "advance-wal", nodeId: metadata.nodeId, epoch, slot: 0 }]);
  }

  /** What is enqueued becomes durable first, unless the store is away for too long. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { runtime, limits } = this.#options;
    this.#close();
    const late = runtime.clock.after(limits.walCloseMsMax, () => this.#fail(closed("the store did not answer")));
    while (this.#flights.length > 0 && this.#failure === undefined) {
      await Promise.all(this.#flights.map(({ landed }) => landed));
    }
    late[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
    this.#failure ??= closed("it was asked to");
    this.#stop.abort(this.#failure);
    await this.#removals;
  }

  get #open(): SlotDraft {
    return this.#drafts.at(-1) as SlotDraft;
  }

  /** Closes the open draft when its time has come. */
  #arm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#open.entries.length === 0 || this.#flights.length >= this.#options.limits.walSlotsInFlightMax) return;
    const { clock } = this.#options.runtime;
    const delayMs = this.#pace.delayMs(clock.monotonic(), this.#flights.length === 0);
    this.#timer = clock.after(delayMs, () => {
      this.#close();
      this.#closedInTime();
    });
  }

  #close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#open.entries.length > 0) this.#drafts.push(new SlotDraft());
    this.#launch();
  }

  #launch(): void {
    const { limits, runtime } = this.#options;
    while (this.#drafts.length > 1 && this.#flights.length < limits.walSlotsInFlightMax) {
      if (this.#failure !== undefined) return;
      this.#write(this.#drafts.shift() as SlotDraft);
      this.#pace.closed(runtime.clock.monotonic());
    }
  }

  #write(draft: SlotDraft): void {
    const { metadata, runtime, limits } = this.#options;
    const name = { node: metadata.nodeId, epoch: metadata.nodeEpoch, seq: this.#seq };
    const id = uuidRandom(runtime.random);
    const link = { ...name, id, previous: this.#previous, durable: this.#flights[0]?.name.seq ?? this.#seq };
    const slot = encodeSlot(this.#origin, link, draft.parts, limits.blockBytesMax);
    this.#seq += 1;
    this.#previous = slot.hash;
    this.#draftBytes -= draft.bytes;
    this.#flightBytes += slot.object.bytes;
    const flight: Flight = {
      name,
      object: slot.object,
      entries: draft.entries,
      isWritten: false,
      landed: Promise.resolve(),
    };
    this.#flights.push(flight);
    flight.landed = this.#put(name, id, slot).then(
      () => {
        flight.isWritten = true;
        this.#settle();
      },
      (cause: unknown) => this.#fail(cause),
    );
  }

  /** Resolves when the slot is there. */
  #put(name: SlotName, id: Uuid, { object, views }: EncodedSlot): Promise<void> {
    const { store } = this.#options;
    const attempt = async (): Promise<boolean> => {
      const created = await store.putIfAbsent(object.key, views);
      if (created.kind === "created") return true;
      return decodeSlotHead(await store.get(object.key, { start: 0, end: slotHeadBytes }), name).id === id;
    };
    return persist(`put ${object.key}`, attempt, this.#persistence).then((isOurs) => {
      if (!isOurs) throw new OperationFailed(`the WAL was ended by another: ${object.key}`, { happened: "no" });
    });
  }

  /** Acks the slots that are there and have none below that is not. */
  #settle(): void {
    if (this.#failure !== undefined) return;
    for (let flight = this.#flights[0]; flight?.isWritten === true; flight = this.#flights[0]) {
      this.#flights.shift();
      this.#flightBytes -= flight.object.bytes;
      const start = this.#ledger.end;
      this.#ledger.add(flight);
      flight.entries.forEach((entry, i) => {
        entry.durable(i === flight.entries.length - 1 ? this.#ledger.end : start);
      });
    }
    this.#launch();
    this.#arm();
  }

  #release(position: WalPosition): readonly NodeEvent[] {
    const { nodeId, nodeEpoch, image } = this.#options.metadata;
    const next = this.#ledger.firstAfter(position)?.name ?? this.#flights[0]?.name;
    const { epoch, seq: slot } = next ?? { epoch: nodeEpoch, seq: this.#seq };
    const [oldest] = image.wals(nodeId);
    if (oldest?.epoch === epoch && oldest.slot >= slot) return [];
    return [{ kind: "advance-wal", nodeId, epoch, slot }];
  }

  #remove(keys: readonly string[]): void {
    const removal = this.#options.store.delete(keys).catch((cause: unknown) => {
      this.#options.logger.warn("cannot remove trimmed slots; garbage collection will", { cause });
    });
    this.#removals = Promise.all([this.#removals, removal]).then(() => undefined);
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = new OperationFailed("the WAL failed and is sealed", { happened: "maybe", cause });
    this.#stop.abort(this.#failure); // Nobody waits for the other slots any more.
    const lost = [...this.#flights, ...this.#drafts].flatMap(({ entries }) => entries);
    this.#drafts.splice(0, this.#drafts.length, new SlotDraft());
    for (const entry of lost) entry.failed(this.#failure);
  }
}

/** A slot whose put has begun. */
interface Flight extends DurableSlot {
  readonly entries: readonly WalEntry[];
  isWritten: boolean;
  /** Settles when the put did, one way or the other; never rejects. */
  landed: Promise<void>;
}

function closed(why: string): OperationFailed {
  return new OperationFailed(`the WAL is closed: ${why}`, { happened: "maybe" });
}

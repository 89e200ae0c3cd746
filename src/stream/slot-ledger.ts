/** The durable slots of a WAL that are not trimmed, oldest first, and where they lie in it. */
import type { SlotName } from "./slot-format.ts";
import type { UploadedObject } from "./upload-plan.ts";
import type { WalPosition } from "./wal.ts";

export interface DurableSlot {
  readonly name: SlotName;
  readonly object: UploadedObject;
}

export class SlotLedger {
  readonly #slots: (DurableSlot & { readonly end: WalPosition })[] = [];
  #end = 0 as WalPosition;
  #trimmed = 0;

  /** Where the next slot begins. */
  get end(): WalPosition {
    return this.#end;
  }

  get bytes(): number {
    return this.#end - this.#trimmed;
  }

  add({ name, object }: DurableSlot): void {
    this.#end = (this.#end + object.bytes) as WalPosition;
    this.#slots.push({ name, object, end: this.#end });
  }

  /** Those that end at or below the position. */
  upTo(position: WalPosition): readonly DurableSlot[] {
    return this.#slots.slice(0, this.#countUpTo(position));
  }

  firstAfter(position: WalPosition): DurableSlot | undefined {
    return this.#slots[this.#countUpTo(position)];
  }

  /** Forgets those that end at or below the position, and returns them. */
  trim(position: WalPosition): readonly DurableSlot[] {
    const gone = this.#slots.splice(0, this.#countUpTo(position));
    this.#trimmed = gone.at(-1)?.end ?? this.#trimmed;
    return gone;
  }

  #countUpTo(position: WalPosition): number {
    const after = this.#slots.findIndex(({ end }) => end > position);
    return after === -1 ? this.#slots.length : after;
  }
}

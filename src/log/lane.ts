/**
 * Work in two steps, strictly in order of arrival (ARCHITECTURE.md, one produce request):
 *
 *   prepare   may wait; those of several batches run side by side        ──────▶
 *   assign    synchronous, in order of arrival                              │ │ │   so that lane order is offset order
 *
 * A batch whose preparation is done waits for those before it. When nothing is waiting and the preparation did not have to
 * wait either, the caller assigns in the same turn and the lane is not touched at all.
 */
export class PartitionLane<Prepared> {
  readonly #entries: Entry<Prepared>[] = [];
  readonly #entriesMax: number;
  readonly #ready: () => true | Promise<void>;
  #paused = false;

  /** `ready` is asked before each assign: true to go on, else a promise after which it is asked again. */
  constructor(options: { readonly entriesMax: number; readonly ready: () => true | Promise<void> }) {
    this.#entriesMax = options.entriesMax;
    this.#ready = options.ready;
  }

  get isIdle(): boolean {
    return this.#entries.length === 0;
  }

  get isFull(): boolean {
    return this.#entries.length >= this.#entriesMax;
  }

  /** Calls `assign` when everything that arrived before was assigned or has failed. Rejects with what either step threw. */
  run<Result>(
    prepared: Prepared | Promise<Prepared>,
    assign: (prepared: Prepared) => Promise<Result>,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const entry: Entry<Prepared> = {
        prepared: undefined,
        assign: (value) => {
          try {
            resolve(assign(value));
          } catch (cause) {
            reject(cause);
          }
        },
      };
      this.#entries.push(entry);
      const settle = (value: { readonly value: Prepared } | "failed"): void => {
        entry.prepared = value;
        this.#drain();
      };
      if (!(prepared instanceof Promise)) {
        settle({ value: prepared });
        return;
      }
      prepared.then(
        (value) => settle({ value }),
        (cause: unknown) => {
          reject(cause);
          settle("failed");
        },
      );
    });
  }

  #drain(): void {
    while (!this.#paused) {
      const head = this.#entries[0];
      if (head?.prepared === undefined) return;
      if (head.prepared !== "failed") {
        const ready = this.#ready();
        if (ready !== true) {
          this.#pause(ready);
          return;
        }
      }
      this.#entries.shift();
      if (head.prepared !== "failed") head.assign(head.prepared.value);
    }
  }

  #pause(until: Promise<void>): void {
    this.#paused = true;
    const resume = (): void => {
      this.#paused = false;
      this.#drain();
    };
    until.then(resume, resume); // A rejection means that the storage is closing: the assign step finds that out itself.
  }
}

interface Entry<Prepared> {
  prepared: { readonly value: Prepared } | "failed" | undefined;
  readonly assign: (prepared: Prepared) => void;
}

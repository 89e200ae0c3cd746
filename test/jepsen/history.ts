/**
 * What the processes of a run did and what they were told, one line of JSON an operation:
 *
 *   {"process":3,"kind":"txn","outcome":"ok","steps":[
 *     {"kind":"send","key":1,"values":["17","18"],"offset":40,"begun":90,"ended":93},
 *     {"kind":"poll","key":2,"from":7,"reads":[{"offset":7,"value":"12"}],"highWatermark":9,"lastStable":8,"begun":94,"ended":97}]}
 *
 * A key is a partition. No value is sent twice. `begun` and `ended` are ticks of one counter: of two steps the first was over
 * before the second began exactly when its `ended` is smaller. A process whose operation ended as "info" does nothing more: another
 * takes its place.
 */

/** "fail": it certainly has no effect; "info": nobody knows. */
export type Outcome = "ok" | "fail" | "info";

export interface Send {
  readonly kind: "send";
  readonly key: number;
  readonly values: readonly string[];
  /** Of the first value; undefined when no answer told it. */
  readonly offset: number | undefined;
  readonly begun: number;
  readonly ended: number;
}

export interface Read {
  readonly offset: number;
  readonly value: string;
  /** Who wrote it, where the reader looked. */
  readonly producerId?: number;
  readonly producerEpoch?: number;
}

/** One answer to a fetch, read committed, for one key. */
export interface Poll {
  readonly kind: "poll";
  readonly key: number;
  readonly from: number;
  readonly reads: readonly Read[];
  readonly highWatermark: number;
  readonly lastStable: number;
  readonly begun: number;
  readonly ended: number;
}

export type Step = Send | Poll;

export interface Operation {
  readonly process: number;
  /** "assign": from here on the process reads other keys, from other positions. "final": all of a key, when everything is over. */
  readonly kind: "send" | "poll" | "txn" | "assign" | "final";
  readonly outcome: Outcome;
  readonly steps: readonly Step[];
  /** What the broker said that no sound broker says here. */
  readonly unexpected?: string;
  /** Seconds since the run began, for whoever reads the history beside a log. */
  readonly atSeconds?: number;
}

/** In the order in which operations ended; those of one process in the order in which it began them. */
export type History = readonly Operation[];

/** What a value stands for that was made of another one, in a workload that consumes, transforms and produces. */
export function inputOf(value: string): string | undefined {
  const [, input] = value.split("<");
  return input;
}

export function outputFor(unique: string, input: string): string {
  return `${unique}<${input}`;
}

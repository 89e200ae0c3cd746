/**
 * The judge of a history: pure, one function an anomaly. The names are those of Jepsen's Kafka tests where those have one; the
 * definitions are ours, and hold what Kafka promises: an order in each key, exactly once, and nothing of an aborted transaction to
 * who reads committed. It does not promise that transactions do not interleave: see cycles.ts.
 */
import { type Cycles, cycles } from "./cycles.ts";
import { Facts } from "./facts.ts";
import { type History, inputOf, type Operation, type Poll, type Read } from "./history.ts";

export interface Violation {
  readonly anomaly: Anomaly;
  readonly detail: string;
}

export interface Verdict {
  /** Empty when every promise held. */
  readonly violations: readonly Violation[];
  /** How often transactions saw each other in ways that Kafka allows. */
  readonly allowed: Omit<Cycles, "circular"> & { readonly G1b: number };
}

export function judge(history: History): Verdict {
  const facts = new Facts(history);
  const { circular, ...allowed } = cycles(facts);
  const violations = Object.entries(checks).flatMap(([anomaly, check]) =>
    check(facts).map((detail) => ({ anomaly: anomaly as Anomaly, detail })),
  );
  const circularFlow = circular.map((detail) => ({ anomaly: "G1c", detail }) as const);
  return { violations: [...violations, ...circularFlow], allowed: { ...allowed, G1b: intermediateReads(facts) } };
}

type Check = (facts: Facts) => readonly string[];
export type Anomaly = keyof typeof checks | "G1c";

const checks = {
  "inconsistent-offsets": inconsistentOffsets,
  duplicate: duplicates,
  "lost-write": lostWrites,
  unseen,
  G1a: abortedReads,
  phantom: phantoms,
  "precommitted-read": precommittedReads,
  "poll-skip": pollSkips,
  "nonmonotonic-poll": nonmonotonicPolls,
  "nonmonotonic-send": nonmonotonicSends,
  torn,
  "watermark-back": watermarksBack,
  "stale-watermark": staleWatermarks,
  "producer-epoch": producerEpochs,
  "input-lost": inputsLost,
  "input-twice": inputsTwice,
  unexpected: ({ history }) => history.flatMap(({ unexpected }) => unexpected ?? []),
} as const satisfies Readonly<Record<string, Check>>;

/** One place holds one value, whoever looks and whenever. */
function inconsistentOffsets(facts: Facts): readonly string[] {
  return [...facts.keys].flatMap((key) =>
    facts
      .order(key)
      .filter(({ values }) => values.size > 1)
      .map(({ offset, values }) => `${key}@${offset} holds ${[...values].join(" and ")}`),
  );
}

/** One value stands in one place: a producer's retry is no second record. */
function duplicates(facts: Facts): readonly string[] {
  return [...new Set([...facts.keys].flatMap((key) => valuesOf(facts, key).map((value) => `${key} ${value}`)))]
    .map((name) => name.split(" ") as [string, string])
    .filter(([key, value]) => facts.versions(Number(key), value).length > 1)
    .map(([key, value]) => {
      const places = facts.versions(Number(key), value).map(({ offset }) => `${key}@${offset}`);
      return `${value} stands at ${places.join(" and ")}`;
    });
}

function valuesOf(facts: Facts, key: number): readonly string[] {
  return facts.order(key).flatMap(({ values }) => [...values]);
}

/** What must stand was passed over: somebody read a later version of the key, and nobody ever read it. */
function lostWrites(facts: Facts): readonly string[] {
  return [...facts.keys].flatMap((key) => {
    const order = facts.order(key);
    const furthest = order.findLast(({ values }) => [...values].some((value) => facts.read.has(value)))?.index ?? -1;
    return order
      .filter(({ index, values }) => index < furthest && ![...values].some((value) => facts.read.has(value)))
      .map(({ offset, values }) => `${[...values].join()} at ${key}@${offset} was never read, later ones were`);
  });
}

/** Read to the end of every key at last, and what was acked is not there. */
function unseen(facts: Facts): readonly string[] {
  if (!isReadToTheEnd(facts)) return [];
  return facts.history
    .filter(({ outcome }) => outcome === "ok")
    .flatMap(({ steps }) => steps.flatMap((step) => (step.kind === "send" ? step.values : [])))
    .filter((value) => !facts.read.has(value))
    .map((value) => `${value} was acked and never read`);
}

/** A value of what was aborted. */
function abortedReads(facts: Facts): readonly string[] {
  return readsOf(facts)
    .filter(({ read }) => facts.writers.get(read.value)?.outcome === "fail")
    .map(({ read, poll }) => `${read.value} at ${poll.key}@${read.offset} was aborted and read`);
}

/** A value that nobody sent. */
function phantoms(facts: Facts): readonly string[] {
  return readsOf(facts)
    .filter(({ read }) => !facts.writers.has(read.value))
    .map(({ read, poll }) => `${read.value} at ${poll.key}@${read.offset} was never sent`);
}

/** A transaction read what it had sent itself, before it ended. */
function precommittedReads(facts: Facts): readonly string[] {
  return readsOf(facts)
    .filter(({ read, by }) => by.kind === "txn" && facts.writers.get(read.value) === by)
    .map(({ read, poll }) => `${read.value} at ${poll.key}@${read.offset} was read inside its own transaction`);
}

/** A reader went past a version without seeing it. A reader from offset 0 begins with the first. */
function pollSkips(facts: Facts): readonly string[] {
  return jumps(facts)
    .filter(({ from, to }) => to > from + 1)
    .map(({ key, from, to, process }) => `process ${process} read version ${to} of key ${key} after ${from}`);
}

function nonmonotonicPolls(facts: Facts): readonly string[] {
  return jumps(facts)
    .filter(({ from, to }) => to <= from)
    .map(({ key, from, to, process }) => `process ${process} read version ${to} of key ${key} after ${from}`);
}

interface Jump {
  readonly process: number;
  readonly key: number;
  readonly from: number;
  readonly to: number;
}

/** Of each process and key, from each version that it read to the next one, until it is assigned anew. */
function jumps(facts: Facts): readonly Jump[] {
  const found: Jump[] = [];
  const last = new Map<string, number>();
  for (const { process, kind, steps } of facts.history) {
    if (kind === "assign") for (const name of last.keys()) if (name.startsWith(`${process} `)) last.delete(name);
    for (const poll of steps) {
      if (poll.kind !== "poll") continue;
      const { key } = poll;
      const name = `${process} ${key}`;
      if (poll.from === 0) last.set(name, -1);
      for (const { value } of poll.reads) {
        const from = last.get(name);
        const to = facts.indexOf(key, value) as number; // Whatever was read has a place.
        if (from !== undefined) found.push({ process, key, from, to });
        last.set(name, to);
      }
    }
  }
  return found;
}

/** What one process sends to one key stands there in the order of sending. */
function nonmonotonicSends(facts: Facts): readonly string[] {
  const last = new Map<string, { readonly index: number; readonly value: string }>();
  const found: string[] = [];
  for (const { send, by } of facts.sends) {
    const name = `${by.process} ${send.key}`;
    for (const value of send.values) {
      const index = facts.indexOf(send.key, value);
      if (index === undefined) continue;
      const before = last.get(name);
      if (before !== undefined && index <= before.index) {
        found.push(
          `process ${by.process} sent ${value} to key ${send.key} after ${before.value}, which stands behind it`,
        );
      }
      last.set(name, { index, value });
    }
  }
  return found;
}

/** Of one transaction some writes are there at last, and others are not. */
function torn(facts: Facts): readonly string[] {
  if (!isReadToTheEnd(facts)) return [];
  return facts.history.flatMap(({ kind, steps }) => {
    const sent = steps.flatMap((step) => (kind === "txn" && step.kind === "send" ? step.values : []));
    const seen = sent.filter((value) => facts.read.has(value));
    if (seen.length === 0 || seen.length === sent.length) return [];
    return [`of the transaction that sent ${sent.join()} only ${seen.join()} can be read`];
  });
}

/** A high watermark or last stable offset that somebody was told is never taken back: what it covers is durable. */
function watermarksBack(facts: Facts): readonly string[] {
  return (["highWatermark", "lastStable"] as const).flatMap((mark) =>
    fallsBehind(
      facts,
      facts.polls.map(({ poll }) => ({ key: poll.key, ended: poll.ended, least: poll[mark] })),
      (poll) => poll[mark],
    ).map(({ poll, least }) => `the ${mark} of key ${poll.key} was ${least}, later ${poll[mark]}`),
  );
}

/** Whoever asks after an ack is told a high watermark past what was acked. */
function staleWatermarks(facts: Facts): readonly string[] {
  const acked = facts.sends.flatMap(({ send }) =>
    send.offset === undefined ? [] : [{ key: send.key, ended: send.ended, least: send.offset + send.values.length }],
  );
  return fallsBehind(facts, acked, (poll) => poll.highWatermark).map(
    ({ poll, least }) => `key ${poll.key} was acked up to ${least}, the high watermark was ${poll.highWatermark} later`,
  );
}

interface Bound {
  readonly key: number;
  readonly ended: number;
  readonly least: number;
}

/** Polls that began after a bound was known and are below it. */
function fallsBehind(facts: Facts, bounds: readonly Bound[], markOf: (poll: Poll) => number) {
  const found: { readonly poll: Poll; readonly least: number }[] = [];
  const inOrder = bounds.toSorted((a, b) => a.ended - b.ended);
  const least = new Map<number, number>();
  let next = 0;
  for (const { poll } of facts.polls.toSorted((a, b) => a.poll.begun - b.poll.begun)) {
    for (; (inOrder[next]?.ended ?? Number.POSITIVE_INFINITY) < poll.begun; next += 1) {
      const bound = inOrder[next] as Bound;
      least.set(bound.key, Math.max(bound.least, least.get(bound.key) ?? 0));
    }
    const bound = least.get(poll.key) ?? 0;
    if (markOf(poll) < bound) found.push({ poll, least: bound });
  }
  return found;
}

/** Where an epoch of a producer has written, none before it writes any more. */
function producerEpochs(facts: Facts): readonly string[] {
  const epochs = new Map<string, number>();
  const found: string[] = [];
  for (const { poll, by } of facts.polls) {
    if (by.kind !== "final") continue;
    for (const { offset, producerId, producerEpoch } of poll.reads) {
      if (producerId === undefined || producerEpoch === undefined) continue;
      const name = `${poll.key} ${producerId}`;
      const before = epochs.get(name) ?? -1;
      if (producerEpoch < before) found.push(`epoch ${producerEpoch} at ${poll.key}@${offset} after epoch ${before}`);
      epochs.set(name, Math.max(before, producerEpoch));
    }
  }
  return found;
}

/** Consumed, transformed and produced: of each input that was read at last there is an output. */
function inputsLost(facts: Facts): readonly string[] {
  const outputs = outputsByInput(facts);
  if (outputs.size === 0 || !isReadToTheEnd(facts)) return [];
  const inputs = finalReads(facts).filter(({ value }) => inputOf(value) === undefined);
  return inputs.filter(({ value }) => !outputs.has(value)).map(({ value }) => `input ${value} has no output`);
}

function inputsTwice(facts: Facts): readonly string[] {
  return [...outputsByInput(facts)]
    .filter(([, outputs]) => outputs.length > 1)
    .map(([input, outputs]) => `input ${input} has the outputs ${outputs.join(" and ")}`);
}

function outputsByInput(facts: Facts): ReadonlyMap<string, readonly string[]> {
  const outputs = finalReads(facts).filter(({ value }) => inputOf(value) !== undefined);
  const grouped = Map.groupBy(outputs, ({ value }) => inputOf(value) as string);
  return new Map([...grouped].map(([input, reads]) => [input, reads.map(({ value }) => value)]));
}

/**
 * Reads that end between two writes of one transaction to one key. Kafka allows it: the last stable offset may stand in the
 * middle of a transaction that is committed, because another one, which is open, wrote there.
 */
function intermediateReads(facts: Facts): number {
  const spans = new Map<number, [first: number, last: number][]>();
  for (const { steps } of facts.history.filter((each) => each.kind === "txn" && facts.hasCommitted(each))) {
    const places = steps.flatMap((step) =>
      step.kind === "send" && step.offset !== undefined ? [{ key: step.key, offset: step.offset }] : [],
    );
    for (const [key, ofKey] of Map.groupBy(places, ({ key }) => key)) {
      const offsets = ofKey.map(({ offset }) => offset);
      if (offsets.length > 1) spans.set(key, [...(spans.get(key) ?? []), [Math.min(...offsets), Math.max(...offsets)]]);
    }
  }
  return facts.polls.filter(({ poll }) =>
    (spans.get(poll.key) ?? []).some(
      ([first, last]) => poll.from <= first && first < poll.lastStable && poll.lastStable <= last,
    ),
  ).length;
}

function isReadToTheEnd({ history }: Facts): boolean {
  return history.some(({ kind }) => kind === "final");
}

function finalReads({ history }: Facts): readonly Read[] {
  return history
    .filter(({ kind }) => kind === "final")
    .flatMap(({ steps }) => steps.flatMap((step) => (step.kind === "poll" ? step.reads : [])));
}

function readsOf(facts: Facts): readonly { readonly read: Read; readonly poll: Poll; readonly by: Operation }[] {
  return facts.polls.flatMap(({ poll, by }) => poll.reads.map((read) => ({ read, poll, by })));
}

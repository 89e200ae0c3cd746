/**
 * Who depends on whom, among operations that stand:
 *
 *   a ──ww──▶ b   b wrote the version right after one of a's
 *   a ──wr──▶ b   b read a version of a's
 *   a ──rw──▶ b   b wrote the version right after the last one that a saw
 *
 * Information flows along wr only from what was committed to what read it later, so a circle of wr alone (G1c) is always a broken
 * promise. Kafka's transactions append without locks and read whatever is stable: circles with ww (G0, G1c over ww) and with one rw
 * (G-single) are its normal life. Those are counted, so that nobody takes them for serializability.
 */
import type { Facts } from "./facts.ts";
import type { Operation } from "./history.ts";

export interface Cycles {
  /** Broken promises: of each knot of wr edges, who is in it. */
  readonly circular: readonly string[];
  readonly G0: number;
  readonly "G1c-with-ww": number;
  readonly "G-single": number;
}

type Edges = Map<Operation, Set<Operation>>;

export function cycles(facts: Facts): Cycles {
  const [ww, wr, rw] = edgesOf(facts);
  const circular = knots(wr).map(
    (knot) => `${knot.length} transactions read each other: ${knot.slice(0, 5).map(nameOf).join(", ")}`,
  );
  const writes = union(ww, wr);
  return {
    circular,
    G0: knots(ww).length,
    "G1c-with-ww": knots(writes).length,
    "G-single": singles(writes, rw),
  };
}

function nameOf({ process, steps }: Operation): string {
  const sent = steps.flatMap((step) => (step.kind === "send" ? step.values : []));
  return `process ${process}'s that sent ${sent.join()}`;
}

function edgesOf(facts: Facts): readonly [ww: Edges, wr: Edges, rw: Edges] {
  const ww: Edges = new Map();
  const wr: Edges = new Map();
  const rw: Edges = new Map();
  const writer = (key: number, index: number): Operation | undefined => {
    const [value] = facts.order(key)[index]?.values ?? [];
    return value === undefined ? undefined : facts.writers.get(value);
  };
  for (const key of facts.keys) {
    for (const { index } of facts.order(key)) add(ww, writer(key, index), writer(key, index + 1));
  }
  for (const { poll, by } of facts.polls) {
    if (by.kind !== "txn" || !facts.hasCommitted(by)) continue;
    for (const { value } of poll.reads) add(wr, facts.writers.get(value), by);
    const last = poll.reads.at(-1);
    const index = last === undefined ? undefined : facts.indexOf(poll.key, last.value);
    if (index !== undefined) add(rw, by, writer(poll.key, index + 1));
  }
  return [ww, wr, rw];
}

function add(edges: Edges, from: Operation | undefined, to: Operation | undefined): void {
  if (from === undefined || to === undefined || from === to) return;
  const present = edges.get(from);
  if (present === undefined) edges.set(from, new Set([to]));
  else present.add(to);
}

function union(a: Edges, b: Edges): Edges {
  const both: Edges = new Map([...a].map(([from, to]) => [from, new Set(to)]));
  for (const [from, targets] of b) for (const to of targets) add(both, from, to);
  return both;
}

/** Strongly connected components of more than one (Tarjan), without recursion: a history may be one long chain. */
export function knots<Node>(edges: ReadonlyMap<Node, ReadonlySet<Node>>): readonly (readonly Node[])[] {
  const found: Node[][] = [];
  const order = new Map<Node, number>();
  const low = new Map<Node, number>();
  const stack: Node[] = [];
  const onStack = new Set<Node>();
  for (const root of edges.keys()) {
    if (order.has(root)) continue;
    const path: { readonly node: Node; readonly next: Iterator<Node> }[] = [];
    const enter = (node: Node): void => {
      order.set(node, order.size);
      low.set(node, order.get(node) as number);
      stack.push(node);
      onStack.add(node);
      path.push({ node, next: (edges.get(node) ?? new Set<Node>()).values() });
    };
    enter(root);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const { node, next } = top;
      const step = next.next();
      if (step.done !== true) {
        if (!order.has(step.value)) enter(step.value);
        else if (onStack.has(step.value)) lower(low, node, order.get(step.value) as number);
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) lower(low, parent.node, low.get(node) as number);
      if (low.get(node) !== order.get(node)) continue;
      const component = stack.splice(stack.lastIndexOf(node));
      for (const each of component) onStack.delete(each);
      if (component.length > 1) found.push(component);
    }
  }
  return found;
}

function lower<Node>(low: Map<Node, number>, node: Node, value: number): void {
  low.set(node, Math.min(low.get(node) as number, value));
}

/** How many rw edges a path of ww and wr leads back from. Of so many edges only is it asked: each is a walk over the graph. */
function singles(writes: Edges, rw: Edges): number {
  const asked = [...rw].flatMap(([from, targets]) => [...targets].map((to) => [from, to] as const)).slice(0, walksMax);
  return asked.filter(([from, to]) => leads(writes, to, from)).length;
}

const walksMax = 500;

function leads(edges: Edges, from: Operation, to: Operation): boolean {
  const seen = new Set([from]);
  const open = [from];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const next of edges.get(node) ?? []) {
      if (next === to) return true;
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(next);
    }
  }
  return false;
}

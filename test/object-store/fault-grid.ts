/**
 * Every kind of trouble against every operation, once each. Two questions a cell:
 *
 *   safety    with one attempt: what is said is true, whatever is said ("no", "maybe", "created", these bytes)
 *   progress  with repeats: the operation succeeds, and happened as if there had been no trouble
 */
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../src/base/errors.ts";
import { ObjectMissing, type ObjectStore, StoreFailed } from "../../src/object-store/object-store.ts";
import {
  allFaultKinds,
  type FaultKind,
  fateOf,
  type StoreOperation,
  storeOperations,
  strikes,
} from "../support/store-faults.ts";

export interface FaultWorld extends AsyncDisposable {
  /** Behind the trouble, with repeats. */
  readonly repeating: ObjectStore;
  /** Behind the trouble, with one attempt. */
  readonly once: ObjectStore;
  /** Past the trouble. */
  readonly truth: ObjectStore;
  /** The next request of the operation meets it. */
  strike(kind: FaultKind, operation: StoreOperation): void;
  readonly struck: number;
  run<T>(work: Promise<T>): Promise<T>;
  /** Until nothing that was given up can land any more. */
  settle(): Promise<void>;
}

interface Trial {
  /** The object, or all keys below the name joined, before; undefined: there is none. */
  readonly before: string | undefined;
  readonly after: string | undefined;
  /** What the operation answers when all is well. */
  readonly answer: unknown;
  prepare(truth: ObjectStore): Promise<void>;
  act(store: ObjectStore): Promise<unknown>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (found: Uint8Array): string => new TextDecoder().decode(found);
const old = "the bytes that stood here before";
const fresh = "fresh bytes of another length than those before";
const listedMax = 25;
/** Worlds may share a bucket: each cell has a key of its own. */
let cells = 0;

function newKey(): string {
  cells += 1;
  return `cells/${cells}`;
}

function reading(key: string, answer: unknown, act: Trial["act"]): Trial {
  return { before: old, after: old, answer, prepare: async (truth) => void (await truth.put(key, bytes(old))), act };
}

function uploading(act: Trial["act"], after: string | undefined): Trial {
  return { before: undefined, after, answer: "done", prepare: async () => {}, act };
}

/** `strike` is called right before the request that shall meet the trouble. */
function trials(key: string, strike: () => void): Readonly<Record<StoreOperation, Trial>> {
  const keysListed = Array.from({ length: listedMax }, (_, index) => `${key}/${String(index).padStart(2, "0")}`);
  const struck = async <T>(work: () => Promise<T>): Promise<T> => {
    strike();
    return await work();
  };
  let etag = "";
  const putOld = async (truth: ObjectStore): Promise<void> => {
    ({ etag } = await truth.put(key, bytes(old)));
  };
  const upload = async (store: ObjectStore, at: "create" | "part" | "complete" | "abort"): Promise<string> => {
    const when = <T>(step: typeof at, work: () => Promise<T>): Promise<T> => (step === at ? struck(work) : work());
    const started = await when("create", () => store.multipart(key));
    await when("part", () => started.part(bytes(fresh)));
    if (at === "abort") await struck(() => started.abort());
    else await when("complete", () => started.complete());
    return "done";
  };
  return {
    put: {
      before: old,
      after: fresh,
      answer: "done",
      prepare: putOld,
      act: (store) => struck(() => store.put(key, bytes(fresh)).then(() => "done")),
    },
    "put-if-absent": {
      before: undefined,
      after: fresh,
      answer: "created",
      prepare: async () => {},
      act: (store) => struck(() => store.putIfAbsent(key, bytes(fresh)).then(({ kind }) => kind)),
    },
    "put-if-match": {
      before: old,
      after: fresh,
      answer: "replaced",
      prepare: putOld,
      act: (store) => struck(() => store.putIfMatch(key, bytes(fresh), etag).then(({ kind }) => kind)),
    },
    get: reading(key, old, (store) => struck(() => store.get(key).then(text))),
    "get-range": reading(key, old.slice(4, 20), (store) =>
      struck(() => store.get(key, { start: 4, end: 20 }).then(text)),
    ),
    head: reading(key, old.length, (store) => struck(() => store.head(key).then((info) => info?.size))),
    list: {
      before: undefined,
      after: undefined,
      answer: keysListed,
      prepare: async (truth) => void (await Promise.all(keysListed.map((each) => truth.put(each, bytes("x"))))),
      act: (store) => struck(() => listed(store, `${key}/`)),
    },
    delete: {
      before: old,
      after: undefined,
      answer: "done",
      prepare: putOld,
      act: (store) => struck(() => store.delete([`${key}-beside`, key]).then(() => "done")),
    },
    "multipart-create": uploading((store) => upload(store, "create"), fresh),
    "multipart-part": uploading((store) => upload(store, "part"), fresh),
    "multipart-complete": uploading((store) => upload(store, "complete"), fresh),
    "multipart-abort": uploading((store) => upload(store, "abort"), undefined),
  };
}

async function listed(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const info of store.list(prefix)) keys.push(info.key);
  return keys;
}

async function stateOf(truth: ObjectStore, key: string): Promise<string | undefined> {
  try {
    return text(await truth.get(key));
  } catch (cause) {
    if (cause instanceof ObjectMissing) return undefined;
    throw cause;
  }
}

/** Wrong answers that nothing in a store's client can see, and what they make of an operation. */
function isBelievedLie(kind: FaultKind, operation: StoreOperation, answer: unknown, truth: unknown): boolean {
  if (kind === "bit-flipped") return typeof answer === "string" && answer.length === String(truth).length;
  if (kind !== "fresh-key-missing") return false;
  if (operation === "head") return answer === undefined;
  if (operation === "list") return Array.isArray(answer) && answer.length < listedMax;
  return answer instanceof ObjectMissing;
}

export function faultGrid(
  name: string,
  makeWorld: () => Promise<FaultWorld>,
  options: { readonly kinds?: readonly FaultKind[] } = {},
): void {
  const kinds = options.kinds ?? allFaultKinds;

  /** One after another would take as long as all the timeouts together. */
  const eachOperation = async (
    kind: FaultKind,
    cell: (world: FaultWorld, operation: StoreOperation, trial: Trial, key: string) => Promise<void>,
  ) => {
    const operations = storeOperations.filter((operation) => strikes(kind, operation));
    expect(operations.length).toBeGreaterThan(0);
    const outcomes = await Promise.allSettled(
      operations.map(async (operation) => {
        await using world = await makeWorld();
        const key = newKey();
        const trial = trials(key, () => world.strike(kind, operation))[operation];
        await world.run(trial.prepare(world.truth));
        await cell(world, operation, trial, key);
        expect(world.struck, `${kind} never struck ${operation}`).toBe(1);
      }),
    );
    const failures = outcomes.flatMap((outcome, index) =>
      outcome.status === "rejected" ? [`${operations[index]}: ${String(outcome.reason)}`] : [],
    );
    expect(failures).toEqual([]);
  };

  describe(`trouble of the store: ${name}`, () => {
    test.each(kinds)("%s: what is said is true", async (kind) => {
      await eachOperation(kind, async (world, operation, trial, key) => {
        const said = await world.run(trial.act(world.once).catch((cause: unknown) => cause));
        const atOnce = await world.run(stateOf(world.truth, key));
        await world.settle();
        const later = await world.run(stateOf(world.truth, key));
        const label = `${operation} said ${String(said)}, and then there was ${String(later)}`;
        if (isBelievedLie(kind, operation, said, trial.answer)) return expect(fateOf(kind)).toBe("lie");
        if (!(said instanceof Error)) {
          expect(said, label).toEqual(trial.answer);
          return expect(atOnce, label).toBe(trial.after);
        }
        expect(said, label).toBeInstanceOf(StoreFailed);
        expect(said, label).not.toBeInstanceOf(CorruptData);
        const isRead = trial.before !== undefined && trial.before === trial.after;
        const { happened } = said as StoreFailed;
        if (isRead || operation === "list") expect(happened, label).toBe("no");
        if (happened === "no") expect(later, label).toBe(trial.before);
        else expect([trial.before, trial.after], label).toContain(later);
      });
    });

    test.each(kinds)("%s: it heals", async (kind) => {
      await eachOperation(kind, async (world, operation, trial, key) => {
        const said = await world.run(trial.act(world.repeating).catch((cause: unknown) => cause));
        if (isBelievedLie(kind, operation, said, trial.answer) && fateOf(kind) === "lie") return;
        if (said instanceof Error) throw said;
        expect(said).toEqual(trial.answer);
        expect(await world.run(stateOf(world.truth, key))).toBe(trial.after);
        await world.settle();
        expect(await world.run(stateOf(world.truth, key))).toBe(trial.after);
      });
    });

    const conditional = ["put-if-absent", "put-if-match"] as const;
    const meeting = kinds.filter((kind) => conditional.some((operation) => strikes(kind, operation)));
    test.each(meeting)("%s: a rival's object is neither claimed nor touched", async (kind) => {
      const meet = async (operation: (typeof conditional)[number]): Promise<void> => {
        await using world = await makeWorld();
        const key = newKey();
        const { etag } = await world.run(world.truth.put(key, bytes("older")));
        await world.run(world.truth.put(key, bytes("the rival's")));
        world.strike(kind, operation);
        const mine = bytes("mine");
        const attempt =
          operation === "put-if-absent"
            ? world.repeating.putIfAbsent(key, mine)
            : world.repeating.putIfMatch(key, mine, etag);
        const said = await world.run(attempt.then((answer) => answer.kind).catch((cause: unknown) => cause));
        if (said instanceof Error) expect(said).toMatchObject({ name: "StoreFailed", happened: "maybe" });
        else expect(said).toBe(operation === "put-if-absent" ? "exists" : "mismatch");
        await world.settle();
        expect(await world.run(stateOf(world.truth, key))).toBe("the rival's");
        expect(world.struck).toBe(1);
      };
      await Promise.all(conditional.map(meet));
    });
  });
}

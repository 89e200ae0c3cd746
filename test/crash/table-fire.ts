/**
 * Exactly once under fire: tables of every kind (rows appended, from transactions, replaced by key, changed by envelopes) while the
 * broker and the catalog are killed, the catalog's answers are lost, late, doubled or wrong, another writer appends, deletes,
 * rewrites and expires, and maintenance goes on. Each cycle ends with `inlet table verify` and with a comparison of all rows with what
 * was acked. Real processes, a stock client, a seed that decides the trouble.
 *
 *   node test/crash/table-fire.ts [--cycles 100] [--seed N]
 *
 *   producers ──▶ broker ──▶ proxy ──▶ catalog's process ◀── the other writer's process
 *                    └──────── files of the tables ────────────────┘
 */
import { parseArgs } from "node:util";
import { pause } from "../jepsen/pause.ts";
import { readRows, type TableRow } from "../support/iceberg-reader.ts";
import { seededRandom } from "../support/seeded.ts";
import type { Fault } from "../table/catalog-contract.ts";
import { checkIds, checkState, checkTransactions, type FireModel } from "./fire-check.ts";
import { openParts, type Parts } from "./fire-parts.ts";
import { type CyclePlan, type FireTable, type ForeignAction, fireTables, planCycle } from "./fire-plan.ts";

export interface FireReport {
  readonly seed: number;
  readonly cycles: number;
  readonly acked: number;
  readonly rows: number;
  readonly counts: Readonly<Record<string, number>>;
  /** Empty when the promise held. */
  readonly violations: readonly string[];
}

export async function runTableFire(options: {
  readonly cycles: number;
  readonly seed: number;
  readonly log?: (line: string) => void;
}): Promise<FireReport> {
  const random = seededRandom(options.seed);
  await using world = await FireWorld.open(options.seed);
  for (let cycle = 1; cycle <= options.cycles && world.violations.length === 0; cycle += 1) {
    const took = await world.cycle(planCycle(random));
    const parts = Object.entries(took).map(([part, ms]) => `${part} ${(ms / 1000).toFixed(1)} s`);
    options.log?.(`cycle ${cycle} of ${options.cycles}: ${world.rows} rows; ${parts.join(", ")}`);
  }
  return world.report(options);
}

/** Columns that identify rows; another writer's rows are told from ours by them too. */
const keyColumns: Readonly<Record<FireTable, string | null>> = {
  plain: null,
  accounts: null,
  state: "_kafka_key",
  changes: "id",
};

/** Where a table must be committed after the trouble, which the broker may find out late. */
const calmMsMax = 30_000;

class FireWorld implements AsyncDisposable {
  readonly violations: string[] = [];
  rows = 0;
  readonly #stack: AsyncDisposableStack;
  readonly #parts: Parts;
  readonly #counts = new Map<string, number>();

  private constructor(stack: AsyncDisposableStack, parts: Parts) {
    this.#stack = stack;
    this.#parts = parts;
  }

  static async open(seed: number): Promise<FireWorld> {
    await using stack = new AsyncDisposableStack();
    const parts = await openParts(stack, seed);
    return new FireWorld(stack.move(), parts);
  }

  /** Milliseconds by part. */
  async cycle(plan: CyclePlan): Promise<Readonly<Record<string, number>>> {
    const took: Record<string, number> = {};
    const timed = async (part: string, work: () => Promise<void>): Promise<void> => {
      const started = performance.now();
      await work();
      took[part] = performance.now() - started;
    };
    await timed("load", () => this.#load(plan));
    await timed("commit", () => this.#settle(plan));
    await timed("verify", async () => {
      await Promise.all(fireTables.map((table) => this.#verify(table)));
    });
    await timed("compare", () => this.#compare(this.#parts.load.model));
    return took;
  }

  report({ cycles, seed }: { readonly cycles: number; readonly seed: number }): FireReport {
    const { violations, rows } = this;
    return { seed, cycles, acked: this.#parts.load.sent, rows, counts: Object.fromEntries(this.#counts), violations };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }

  async #load(plan: CyclePlan): Promise<void> {
    const stop = new AbortController();
    const loading = this.#parts.load.run(stop.signal);
    const trouble = [
      this.#spoilCommits(plan, stop.signal),
      this.#killCatalog(plan),
      this.#meddle(plan),
      this.#killBroker(plan, "load"),
      this.#commitOften(stop.signal),
    ];
    await pause(plan.loadMs);
    stop.abort();
    await Promise.all([loading, ...trouble]);
  }

  /** Everything into the tables, with what trouble is left, and what the other writer brought out of them. */
  async #settle(plan: CyclePlan): Promise<void> {
    const flushing = Promise.all(fireTables.map((table) => this.#flush(table)));
    await this.#killBroker(plan, "flush");
    await flushing;
    this.#parts.proxy.fault = undefined;
    for (const table of fireTables) await this.#foreign(table, "delete");
  }

  /** One fault after another, each at the first commit that comes. */
  async #spoilCommits(plan: CyclePlan, signal: AbortSignal): Promise<void> {
    if (plan.kill?.during === "commit" && (await this.#spoil("answer-late", signal))) {
      await this.#killBroker(plan, "commit");
    }
    for (const fault of plan.faults) {
      if (!(await this.#spoil(fault, signal))) return;
      this.#count(typeof fault === "string" ? fault : `${fault.status}${fault.happens ? " after it happened" : ""}`);
    }
  }

  /** Whether it has struck; else it stays for the commits that end the cycle. */
  async #spoil(fault: Fault, signal: AbortSignal): Promise<boolean> {
    const { proxy } = this.#parts;
    proxy.fault = fault;
    while (proxy.fault !== undefined && !signal.aborted) await pause(2);
    return !signal.aborted;
  }

  /** Not only when a commit is due. */
  async #commitOften(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const table of fireTables) await this.#ask("POST", `${table}/flush`);
      await pause(50);
    }
  }

  async #killBroker({ kill }: CyclePlan, during: "load" | "commit" | "flush"): Promise<void> {
    if (kill?.during !== during) return;
    await pause(kill.afterMs);
    await this.#parts.broker.again(0);
    this.#count(`kill -9 during ${during}`);
  }

  async #killCatalog({ catalogKill }: CyclePlan): Promise<void> {
    if (catalogKill === null) return;
    await pause(catalogKill.afterMs);
    await this.#parts.catalogProcess.again(catalogKill.awayMs);
    this.#count("kill -9 of the catalog");
  }

  async #meddle({ foreign }: CyclePlan): Promise<void> {
    for (const { table, action } of foreign) await this.#foreign(table, action);
  }

  async #foreign(table: FireTable, action: ForeignAction): Promise<void> {
    const task = { table: { namespace: ["fire"], name: table }, action, key: keyColumns[table] };
    const outcome = await this.#parts.foreign.run(task);
    if (outcome !== "nothing") this.#count(outcome === "done" ? `foreign ${action}` : "foreign, always too late");
  }

  async #flush(table: FireTable): Promise<void> {
    let said = "";
    for (const deadline = performance.now() + calmMsMax; performance.now() < deadline; await pause(50)) {
      const answer = await this.#ask("POST", `${table}/flush`);
      if (answer?.status === 200 || answer?.status === 404) return;
      said = answer?.text ?? "";
    }
    const { text } = (await this.#ask("GET", table)) ?? { text: "" };
    this.violations.push(`${table} cannot be committed: ${said}; ${text}`);
  }

  async #verify(table: FireTable): Promise<void> {
    await this.#ask("POST", `${table}/verify`);
    for (const deadline = performance.now() + calmMsMax; performance.now() < deadline; ) {
      const { status, text } = (await this.#ask("GET", `${table}/verify`)) ?? { status: 0, text: "no answer" };
      const verified = (status === 200 ? JSON.parse(text) : { state: "failed", error: text }) as Verified;
      if (verified.state === "running") continue;
      if (verified.state === "failed") this.violations.push(`${table} cannot be verified: ${verified.error}`);
      else if (verified.result.verdict === "different")
        this.violations.push(...verified.result.findings.map((each) => `verify of ${table}: ${JSON.stringify(each)}`));
      else this.#count(`verified ${verified.result.verdict}`);
      return;
    }
    this.violations.push(`${table} was not verified in ${calmMsMax} ms`);
  }

  async #compare(model: FireModel): Promise<void> {
    const plain = await this.#rowsOf("plain");
    const letters = await this.#rowsOf("plain_dlq");
    const accounts = await this.#rowsOf("accounts");
    const state = await this.#rowsOf("state");
    const changes = await this.#rowsOf("changes");
    const ids = (rows: readonly TableRow[]): readonly number[] => rows.map((row) => Number(row["id"]));
    const stateRow = (key: string) => (row: TableRow) => {
      return { key: textOf(row[key]), region: textOf(row["region"]), v: Number(row["v"]) };
    };
    this.rows = plain.length + letters.length + accounts.length + state.length + changes.length;
    const lettered = letters.map((row) => Number(textOf(row["value"]).replace("not JSON ", "")));
    this.violations.push(
      ...checkIds("plain", model.plain, ids(plain)),
      ...checkIds("plain_dlq", model.letters, lettered),
      ...checkTransactions("accounts", model.accounts, ids(accounts)),
      ...checkState("state", model.state, state.map(stateRow("_kafka_key"))),
      ...checkState("changes", model.changes, changes.map(stateRow("id"))),
    );
  }

  async #rowsOf(name: string): Promise<readonly TableRow[]> {
    const loaded = await this.#parts.catalog.load({ namespace: ["fire"], name });
    return loaded === undefined ? [] : await readRows(this.#parts.warehouse, loaded.metadata);
  }

  /** undefined: the broker is away. */
  async #ask(method: string, path: string): Promise<{ readonly status: number; readonly text: string } | undefined> {
    try {
      const answer = await fetch(`${this.#parts.broker.now.http}/v1/tables/${path}`, { method });
      return { status: answer.status, text: await answer.text() };
    } catch {
      return undefined; // Killed: whoever asks comes again.
    }
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }
}

type Verified =
  | { readonly state: "running" }
  | { readonly state: "failed"; readonly error: string }
  | { readonly state: "done"; readonly result: { readonly verdict: string; readonly findings: readonly unknown[] } };

function textOf(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString() : String(value);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      cycles: { type: "string", default: "100" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
    },
  });
  console.log(`seed ${values.seed}`);
  const report = await runTableFire({ cycles: Number(values.cycles), seed: Number(values.seed), log: console.log });
  const { violations, ...rest } = report;
  for (const violation of violations.slice(0, 30)) console.log(violation);
  console.log(JSON.stringify({ ...rest, violations: violations.length }));
  process.exitCode = violations.length === 0 && report.acked > 0 ? 0 : 1;
}

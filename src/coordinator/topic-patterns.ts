/**
 * Which topics a regular expression of a group means. The engine is RE2's, whose time is linear in the text: a member's
 * expression cannot hold the broker. What it matched is remembered until topics come or go, for all groups together, unless
 * it is a lot and others were asked for since.
 */
import type { RE2JS } from "re2js";
import { SingleFlight, Slices } from "../base/async.ts";
import { compilePattern } from "../base/patterns.ts";
import type { Clock } from "../base/runtime.ts";
import type { Topics } from "./consumer-group-state.ts";

/** Of one turn of the event loop. */
const sliceMsMax = 5;
/** Of names that matched, and characters of expressions: some tens of MB, whatever clients send. */
const keptMaxDefault = 1_000_000;

export class TopicPatterns {
  readonly #topics: Topics;
  readonly #clock: Clock;
  readonly #keptMax: number;
  readonly #flights = new SingleFlight<string, readonly string[]>();
  #version = 0;
  /** Of this version of the topics, the last one asked for at the end. */
  #known = new Map<string, readonly string[]>();
  #kept = 0;

  constructor(options: { readonly topics: Topics; readonly clock: Clock; readonly keptMax?: number }) {
    this.#topics = options.topics;
    this.#clock = options.clock;
    this.#keptMax = options.keptMax ?? keptMaxDefault;
  }

  /** Why the expression is none; undefined when it is one. */
  problem(expression: string): string | undefined {
    const compiled = compile(expression);
    return typeof compiled === "string" ? compiled : undefined;
  }

  /** Sorted names of the topics that each expression matches as a whole. One that is none matches nothing. */
  async matches(expressions: Iterable<string>): Promise<ReadonlyMap<string, readonly string[]>> {
    const wanted = new Set(expressions);
    for (;;) {
      const { version } = this.#topics;
      const found = new Map<string, readonly string[]>();
      for (const expression of wanted) found.set(expression, await this.#match(expression));
      if (this.#topics.version === version) return found; // Else topics came or went meanwhile.
    }
  }

  async #match(expression: string): Promise<readonly string[]> {
    const { version } = this.#topics;
    if (this.#version !== version) {
      this.#version = version;
      this.#known = new Map();
      this.#kept = 0;
    }
    const known = this.#known.get(expression);
    const names = known ?? (await this.#flights.run(`${version} ${expression}`, () => this.#search(expression)));
    if (this.#version === version) this.#keep(expression, names);
    return names;
  }

  #keep(expression: string, names: readonly string[]): void {
    this.#forget(expression);
    this.#known.set(expression, names);
    this.#kept += expression.length + names.length;
    for (const oldest of this.#known.keys()) {
      if (this.#kept <= this.#keptMax || oldest === expression) return;
      this.#forget(oldest);
    }
  }

  #forget(expression: string): void {
    const names = this.#known.get(expression);
    if (names !== undefined) this.#kept -= expression.length + names.length;
    this.#known.delete(expression);
  }

  #search(expression: string): Promise<readonly string[]> {
    return new Slices({ clock: this.#clock, sliceMsMax }).run(search(expression, [...this.#topics.names()]));
  }
}

function* search(expression: string, names: readonly string[]): Generator<void, readonly string[], void> {
  const compiled = compile(expression);
  if (typeof compiled === "string") return [];
  const found: string[] = [];
  for (const name of names) {
    if (compiled.matches(name)) found.push(name);
    yield;
  }
  return found.sort();
}

function compile(expression: string): RE2JS | string {
  const compiled = compilePattern(expression);
  return "problem" in compiled ? `${compiled.problem}.` : compiled;
}

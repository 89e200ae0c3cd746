/** A client's connection to whichever life of the broker serves now: requests go straight to the typed handlers. */
import { sleep } from "../../src/base/async.ts";
import type { ApiName, RequestOf, ResponseInputOf } from "../../src/protocol/api-table.ts";
import { anonymous, type Handlers, type RequestContext } from "../../src/protocol/dispatch.ts";
import type { SimClock } from "./clock.ts";
import { reasons, type SimNode } from "./node.ts";
import type { SimRandom } from "./random.ts";

export type Reply<Name extends ApiName> =
  | { readonly kind: "answer"; readonly body: ResponseInputOf<Name> }
  /** Nothing was sent. */
  | { readonly kind: "unsent" }
  /** It was sent, and nobody knows what became of it. */
  | { readonly kind: "lost" };

export interface ClientWorld {
  readonly clock: SimClock;
  readonly random: SimRandom;
  /** The life that serves, if one does. */
  readonly node: () => SimNode | undefined;
  /** Something that no broker may do. */
  readonly violated: (what: string) => void;
}

type Handler<Name extends ApiName> = NonNullable<Handlers[Name]>;
type Sent<Name extends ApiName> = readonly [name: Name, request: RequestOf<Name>, apiVersion: number];

const requestMsMax = 3_000;

export class Client {
  readonly id: string;
  readonly random: SimRandom;
  readonly #world: ClientWorld;
  #correlationId = 0;

  constructor(world: ClientWorld, id: string) {
    this.#world = world;
    this.id = id;
    this.random = world.random.fork(id);
  }

  async send<Name extends ApiName>(...sent: Sent<Name>): Promise<Reply<Name>> {
    const [reply] = await this.pipeline([sent]);
    return reply as Reply<Name>;
  }

  /** Requests that go out back to back, as on one connection. Waits a little when nobody serves. */
  async pipeline<Name extends ApiName>(requests: readonly Sent<Name>[]): Promise<readonly Reply<Name>[]> {
    await this.pause(2);
    const node = this.#world.node();
    if (node === undefined) {
      await this.pause(100);
      return requests.map(() => ({ kind: "unsent" }));
    }
    const replies = await Promise.all(requests.map((sent) => this.#one(node, ...sent)));
    await this.pause(2);
    return replies;
  }

  /** Up to this long. */
  pause(msMax: number): Promise<void> {
    return sleep(this.#world.clock, this.random.unit() * msMax);
  }

  async #one<Name extends ApiName>(node: SimNode, ...[name, request, apiVersion]: Sent<Name>): Promise<Reply<Name>> {
    const gone = new AbortController();
    const context: RequestContext = {
      apiVersion,
      clientId: this.id,
      clientHost: "client",
      listener: "PLAINTEXT",
      principal: anonymous,
      signal: gone.signal,
      correlationId: this.#correlationId++,
    };
    const lost: Reply<Name> = { kind: "lost" };
    const late = Promise.withResolvers<Reply<Name>>();
    using _timer = this.#world.clock.after(requestMsMax, () => late.resolve(lost));
    const answer = this.#handle(node, name, request, context);
    const reply = await Promise.race([answer, late.promise, node.ended.then(() => lost)]);
    gone.abort();
    return reply;
  }

  async #handle<Name extends ApiName>(
    node: SimNode,
    name: Name,
    request: RequestOf<Name>,
    context: RequestContext,
  ): Promise<Reply<Name>> {
    const handler = node.handlers[name] as Handler<Name>;
    using borrow = new DisposableStack();
    try {
      const answer = await handler(request as never, { ...context, borrow: () => borrow });
      const body = answer as ResponseInputOf<Name> | "no-response" | "close";
      if (body === "no-response" || body === "close") return { kind: "lost" };
      if (name !== "fetch") return { kind: "answer", body };
      await this.pause(2); // On its way out for a while.
      return { kind: "answer", body: arrived(body) };
    } catch (cause) {
      // The listener would close the connection. A node that is going down may; one that serves on has a bug.
      if (node.isUp) this.#world.violated(`${name} threw ${reasons(cause)}`);
      return { kind: "lost" };
    }
  }
}

/** As it arrives elsewhere: views of the one side's memory become the other side's bytes. */
function arrived<T>(value: T): T {
  if (value instanceof Uint8Array) return value.slice() as T;
  if (Array.isArray(value)) return value.map(arrived) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, arrived(each)])) as T;
}

/** A client's way to the broker: connects when it has to, and says whether a request that was not answered may have arrived. */
import { type ApiName, type RequestInputOf, type ResponseOf } from "../../src/protocol/api-table.ts";
import { decodeResponse } from "../../src/protocol/frame.ts";
import { RawClient } from "../support/raw-client.ts";

export type Reply<Name extends ApiName> =
  | { readonly kind: "answer"; readonly body: ResponseOf<Name> }
  /** Nothing was sent. */
  | { readonly kind: "unsent" }
  /** It was sent, and nobody knows what became of it. */
  | { readonly kind: "lost" };

export type Request<Name extends ApiName> = readonly [api: Name, version: number, body: RequestInputOf<Name>];

const connectMsMax = 1_000;
/** Then the client gives up, and comes again by another connection. */
export const requestMsMax = 2_500;

export class Connection implements AsyncDisposable {
  readonly #port: number;
  readonly #requestMsMax: number;
  #client: RawClient | undefined;

  constructor(port: number, msMax = requestMsMax) {
    this.#port = port;
    this.#requestMsMax = msMax;
  }

  async call<Name extends ApiName>(...request: Request<Name>): Promise<Reply<Name>> {
    const [reply] = await this.pipeline([request]);
    return reply as Reply<Name>;
  }

  /** Requests that go out back to back, and are answered in order. */
  async pipeline<Name extends ApiName>(requests: readonly Request<Name>[]): Promise<readonly Reply<Name>[]> {
    const client = await this.#connected();
    if (client === undefined) return requests.map(() => ({ kind: "unsent" }));
    for (const request of requests) client.request(...request);
    const replies: Reply<Name>[] = [];
    const patience = setTimeout(() => client.socket.destroy(), this.#requestMsMax);
    try {
      for (const [api, version] of requests) {
        const { body } = decodeResponse(Uint8Array.from(await client.frame()), api, version);
        replies.push({ kind: "answer", body });
      }
    } catch {
      this.#client = undefined; // It was closed, by the other side or by us: the rest is unknown.
      await client[Symbol.asyncDispose]();
    } finally {
      clearTimeout(patience);
    }
    return requests.map((_, at) => replies[at] ?? { kind: "lost" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.[Symbol.asyncDispose]();
    this.#client = undefined;
  }

  async #connected(): Promise<RawClient | undefined> {
    if (this.#client !== undefined) return this.#client;
    const opening = RawClient.open({ host: "127.0.0.1", port: this.#port });
    const late = Promise.withResolvers<undefined>();
    const patience = setTimeout(() => late.resolve(undefined), connectMsMax);
    try {
      this.#client = await Promise.race([opening, late.promise]);
    } catch {
      return undefined; // Refused.
    } finally {
      clearTimeout(patience);
    }
    return this.#client;
  }
}

/** Between the listener, which knows frames, and the handlers, which know their API. */
import { assert } from "../base/errors.ts";
import type { ApiName, RequestOf, ResponseInputOf } from "./api-table.ts";
import type { DecodedRequest } from "./frame.ts";

/** Who asks, as Kafka names it: `User:alice`. */
export interface Principal {
  readonly type: "User";
  readonly name: string;
  /** Authenticated by a delegation token: it acts as its owner, but gives out no tokens. */
  readonly isTokenAuthenticated: boolean;
}

/** Whoever has not said who it is, on a listener that does not ask. */
export const anonymous: Principal = { type: "User", name: "ANONYMOUS", isTokenAuthenticated: false };

/** What a handler knows of who asks. */
export interface RequestContext {
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  readonly clientHost: string;
  /** What else is known of the client: its port, and the software that ApiVersions named. */
  readonly client?: { readonly port: number; readonly softwareName: string; readonly softwareVersion: string };
  /** Name of the listener that the connection came in by. */
  readonly listener: string;
  readonly principal: Principal;
  /** Aborts when the connection is gone: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** After the answers that are on their way, nothing more is read or begun for this long (KIP-219). */
  readonly pause?: (ms: number) => void;
  /**
   * How many of these bytes the answer may have. Asked right before they are read: until it is written they count as memory. Who asks
   * again asks for something else instead, for nothing when it waits first.
   */
  readonly grantAnswer?: (bytes: number) => number;
  /** What its byte strings were borrowed from: disposed of when the answer is written, or will not be. */
  readonly borrow?: () => DisposableStack;
}

/** "no-response" is for acks=0; "close" for what Kafka answers by closing, after the answers to earlier requests. */
export type Answer<Response> = Response | "no-response" | "close";

/** Byte strings in the request are borrowed until the promise settles; those in the answer until it is written. */
export type Handlers = {
  readonly [Name in ApiName]?: (
    request: RequestOf<Name>,
    context: RequestContext,
  ) => Promise<Answer<ResponseInputOf<Name>>>;
};

export interface Dispatcher {
  /** What ApiVersions speaks of, and all that is decoded. */
  readonly served: ReadonlySet<ApiName>;
  readonly dispatch: (request: DecodedRequest, context: RequestContext) => Promise<Answer<ResponseInputOf<ApiName>>>;
}

export function dispatcher(handlers: Handlers): Dispatcher {
  const served = new Set(Object.keys(handlers) as ApiName[]);
  const dispatch: Dispatcher["dispatch"] = (request, context) => {
    const handler = handlers[request.api] as AnyHandler | undefined;
    assert(handler !== undefined, `${request.api} is decoded but not served`);
    return handler(request.body, context);
  };
  return { served, dispatch };
}

/** The types pair each handler with its own request; a lookup by a variable name loses that. */
type AnyHandler = (request: unknown, context: RequestContext) => Promise<Answer<ResponseInputOf<ApiName>>>;

/**
 * Quotas, around the handlers: what a request uses is measured, and who uses too much is told to pause in the answer, which is
 * sent at once; the connection is not read meanwhile (KIP-219). Where there are no quotas handlers are called as they are.
 */
import type { ClientQuotas } from "../../access/client-quotas.ts";
import type { QuotaKey } from "../../access/quota-entity.ts";
import type { Clock } from "../../base/runtime.ts";
import type { ApiName, RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { Answer, Handlers, RequestContext } from "../../protocol/dispatch.ts";
import { isAnswer } from "../guard/guard.ts";

export function metered(handlers: Handlers, quotas: ClientQuotas, clock: Clock): Handlers {
  const meter = ([name, handler]: [string, unknown]): [string, AnyHandler] => {
    const next = handler as AnyHandler;
    const handle: AnyHandler = async (request, context) => {
      const startedMs = clock.monotonic();
      const pending = next(bounded(name as ApiName, request, context, quotas), context);
      const busyMs = clock.monotonic() - startedMs;
      const answer = await pending;
      return throttled(name as ApiName, { request, answer, busyMs, context, quotas });
    };
    return [name, (request, context) => (quotas.isIdle ? next(request, context) : handle(request, context))];
  };
  return Object.fromEntries(Object.entries(handlers).map(meter)) as Handlers;
}

type AnyHandler = (request: unknown, context: RequestContext) => Promise<Answer<Throttling>>;
type Throttling = { readonly throttleTimeMs?: number | undefined };

interface Served {
  readonly request: unknown;
  readonly answer: Answer<Throttling>;
  /** How long the request held the event loop before it first waited. */
  readonly busyMs: number;
  readonly context: RequestContext;
  readonly quotas: ClientQuotas;
}

/** One fetch is not more than the window can hold, so that no pause is longer than the window. */
function bounded(api: ApiName, request: unknown, context: RequestContext, quotas: ClientQuotas): unknown {
  if (api !== "fetch") return request;
  const fetch = request as RequestOf<"fetch">;
  return { ...fetch, maxBytes: Math.min(fetch.maxBytes, Math.floor(quotas.burstOf("consumer_byte_rate", context))) };
}

function throttled(api: ApiName, served: Served): Answer<Throttling> {
  const { request, context, quotas, busyMs } = served;
  let { answer } = served;
  const pauses: [QuotaKey, number][] = [
    ["request_percentage", quotas.use("request_percentage", context, busyMs / 10)], // Of 1,000 ms, in percent.
  ];
  if (api === "produce") {
    const bytes = producedBytes(request as RequestOf<"produce">);
    pauses.push(["producer_byte_rate", quotas.use("producer_byte_rate", context, bytes)]);
  }
  if (api === "fetch" && isAnswer(answer)) {
    const fetched = answer as ResponseInputOf<"fetch">;
    // Whoever is over the rate already gets no records and asks again; what takes a client over it is given still, since a
    // batch that is larger than the whole window could not be read at all otherwise.
    const owedMs = quotas.use("consumer_byte_rate", context, 0);
    if (owedMs > 0) answer = withoutRecords(fetched);
    const pauseMs = owedMs > 0 ? owedMs : quotas.use("consumer_byte_rate", context, fetchedBytes(fetched));
    pauses.push(["consumer_byte_rate", pauseMs]);
  }
  const [quota, throttleMs] = pauses.reduce((longest, pause) => (pause[1] > longest[1] ? pause : longest));
  if (throttleMs === 0) return answer;
  quotas.throttled(quota, throttleMs);
  context.pause?.(throttleMs);
  return isAnswer(answer) ? { ...answer, throttleTimeMs: Math.max(answer.throttleTimeMs ?? 0, throttleMs) } : answer;
}

function producedBytes({ topicData }: RequestOf<"produce">): number {
  let bytes = 0;
  for (const { partitionData } of topicData) for (const { records } of partitionData) bytes += records?.length ?? 0;
  return bytes;
}

function fetchedBytes({ responses }: ResponseInputOf<"fetch">): number {
  let bytes = 0;
  for (const { partitions } of responses) {
    for (const { records } of partitions) for (const view of records ?? []) bytes += view.length;
  }
  return bytes;
}

/** The rest of the answer stays: a session has noted that the client knows it. */
function withoutRecords(answer: ResponseInputOf<"fetch">): ResponseInputOf<"fetch"> {
  const responses = answer.responses.map((topic) => ({
    ...topic,
    partitions: topic.partitions.map((partition) => ({ ...partition, records: [] })),
  }));
  return { ...answer, responses };
}

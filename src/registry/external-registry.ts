/**
 * Schemas of a registry that is not ours, over Confluent's REST API. What an id stands for never changes, so it is asked for
 * once. While none of its servers answers, asking fails: a table waits then, and goes on where it was.
 */
import { type BackoffLimits, backoffDelayMs, SingleFlight, sleep } from "../base/async.ts";
import { OperationFailed } from "../base/errors.ts";
import type { Clock, Random } from "../base/runtime.ts";
import { canonicalSubject, contextOf, contextPrefix, withinContext } from "./context.ts";
import type { HttpAnswer, HttpGet } from "./external-http.ts";
import { isJsonObject, type JsonObject } from "./json-text.ts";
import type { ResolvedReference } from "./schema-format.ts";

export interface ExternalRegistryOptions {
  /** Of one registry; the first that answers is asked. */
  readonly urls: readonly string[];
  /** Value of the header "authorization". */
  readonly authorization: string | undefined;
  readonly get: HttpGet;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: ExternalRegistryLimits;
}

export interface ExternalRegistryLimits extends BackoffLimits {
  readonly requestMsMax: number;
  /** Schemas that are remembered. */
  readonly schemasMax: number;
}

export interface ExternalSchema {
  readonly schemaType: string;
  readonly schema: string;
  /** Each after those that it uses itself. */
  readonly resolved: readonly ResolvedReference[];
}

/** Depth of references of references. */
const referenceDepthMax = 50;
/** "There is no such thing" in Confluent's words; any other 404 comes from who stands between. */
const absentCodes = [40401, 40402, 40403];

export class ExternalRegistry {
  readonly #options: ExternalRegistryOptions;
  readonly #flights = new SingleFlight<string, ExternalSchema | undefined>();
  /** The oldest first. */
  readonly #known = new Map<string, ExternalSchema>();
  /** Index of the server that answered last. */
  #preferred = 0;

  constructor(options: ExternalRegistryOptions) {
    this.#options = options;
  }

  /** By number, or by GUID as text. undefined when there is none in the context of the subject. Rejects with OperationFailed when nobody answers. */
  schemaById(id: number | string, subject: string): Promise<ExternalSchema | undefined> {
    const prefix = contextPrefix(contextOf(canonicalSubject(subject)));
    const context = prefix === "" ? "" : `?subject=${encodeURIComponent(prefix)}`;
    const path = typeof id === "number" ? `/schemas/ids/${id}${context}` : `/schemas/guids/${encodeURIComponent(id)}`;
    const known = this.#known.get(path);
    if (known !== undefined) return Promise.resolve(known);
    return this.#flights.run(path, async () => {
      const answer = await this.#ask(path);
      if (answer === undefined) return undefined;
      const found = await this.#withReferences(answer, contextOf(prefix));
      this.#remember(path, found);
      return found;
    });
  }

  /** Of the latest version; undefined when the subject has none. Rejects as schemaById does. */
  async latestId(subject: string): Promise<number | undefined> {
    const answer = await this.#ask(`/subjects/${encodeURIComponent(canonicalSubject(subject))}/versions/latest`);
    return answer === undefined ? undefined : number(answer, "id");
  }

  #remember(path: string, schema: ExternalSchema): void {
    this.#known.set(path, schema);
    const [oldest] = this.#known.keys();
    if (this.#known.size > this.#options.limits.schemasMax) this.#known.delete(oldest as string);
  }

  async #withReferences(answer: JsonObject, context: string): Promise<ExternalSchema> {
    const resolved: ResolvedReference[] = [];
    /** One version may be referred to by several names. */
    const visited = new Set<string>();
    const visit = async (of: JsonObject, from: string, depth: number): Promise<void> => {
      if (depth > referenceDepthMax) throw failed(`references are deeper than ${referenceDepthMax}`);
      for (const reference of referencesOf(of)) {
        const name = text(reference, "name");
        const subject = withinContext(from, text(reference, "subject"));
        const path = `/subjects/${encodeURIComponent(subject)}/versions/${number(reference, "version")}?deleted=true`;
        if (visited.has(`${path} ${name}`)) continue;
        visited.add(`${path} ${name}`);
        const found = await this.#ask(path);
        if (found === undefined) throw failed(`the registry has lost ${path}, which a schema refers to`);
        await visit(found, contextOf(subject), depth + 1);
        resolved.push({ name, schema: text(found, "schema") });
      }
    };
    await visit(answer, context, 0);
    const { schemaType } = answer;
    return {
      schemaType: typeof schemaType === "string" ? schemaType : "AVRO",
      schema: text(answer, "schema"),
      resolved,
    };
  }

  /** undefined: it says that there is none. */
  async #ask(path: string): Promise<JsonObject | undefined> {
    const { urls, clock, random, limits } = this.#options;
    let trouble: unknown;
    for (let attempt = 1; ; attempt += 1) {
      for (let turn = 0; turn < urls.length; turn += 1) {
        const server = (this.#preferred + turn) % urls.length;
        try {
          const answer = judged(path, await this.#get(urls[server] as string, path));
          this.#preferred = server;
          return answer;
        } catch (cause) {
          if (cause instanceof OperationFailed) throw cause; // Another server would say the same.
          trouble = cause;
        }
      }
      if (attempt >= limits.attemptsMax) break;
      await sleep(clock, backoffDelayMs(limits, attempt, random));
    }
    const reason = trouble instanceof Error ? trouble.message : String(trouble);
    throw failed(`no server of the external registry answers: ${reason}`, trouble);
  }

  async #get(url: string, path: string): Promise<HttpAnswer> {
    const { authorization, get, clock, limits } = this.#options;
    const late = new AbortController();
    using _timer = clock.after(limits.requestMsMax, () => late.abort(new Error("no answer in time")));
    const accept = "application/vnd.schemaregistry.v1+json, application/json";
    const headers = { accept, ...(authorization === undefined ? {} : { authorization }) };
    return await get(new URL(url.replace(/\/$/, "") + path), headers, late.signal);
  }
}

/** What was answered; undefined when there is none. Throws OperationFailed for what a repeat would not change, Error for what it may. */
function judged(path: string, { status, body }: HttpAnswer): JsonObject | undefined {
  const answer = parsed(body);
  if (status === 200 && answer !== undefined) return answer;
  if (status === 404 && absentCodes.includes(Number(answer?.["error_code"]))) return undefined;
  const said = typeof answer?.["message"] === "string" ? `: ${answer["message"]}` : "";
  const isFinal = status === 401 || status === 403;
  if (isFinal) throw failed(`the external registry refuses us with ${status} at ${path}${said}`);
  throw new Error(`status ${status} at ${path}${said}`);
}

function parsed(body: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isJsonObject(value) ? value : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

function referencesOf({ references }: JsonObject): readonly JsonObject[] {
  if (references === undefined || references === null) return [];
  if (!Array.isArray(references) || !references.every(isJsonObject))
    throw failed("the external registry's references are no list");
  return references;
}

function text(fields: JsonObject, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw failed(`the external registry's answer has no text ${name}`);
  return value;
}

function number(fields: JsonObject, name: string): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value))
    throw failed(`the external registry's answer has no number ${name}`);
  return value;
}

function failed(message: string, cause?: unknown): OperationFailed {
  return new OperationFailed(message, { happened: "no", cause });
}

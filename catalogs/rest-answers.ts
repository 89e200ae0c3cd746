/** What a REST catalog answers, and what that means: tables, outcomes of commits, errors in Iceberg's words. Pure. */
import { CorruptData, OperationFailed } from "../src/base/errors.ts";
import type { CommitOutcome, LoadedTable, UnknownOutcome } from "../src/table/catalog.ts";
import {
  isJsonObject,
  type Json,
  type JsonObject,
  parseJson,
  parseJsonObject,
  renderJson,
} from "../src/table/iceberg/json.ts";
import { toMetadata } from "../src/table/iceberg/metadata-json.ts";
import { NoAnswer, type RestResponse } from "./rest-client.ts";

/** What the catalog said no to, or could not be understood about; nothing happened. */
export class CatalogRefused extends OperationFailed {
  override readonly name = "CatalogRefused";
  readonly status: number;
  constructor(what: string, answer: RestResponse) {
    super(`${what}: HTTP ${answer.status} ${detailOf(answer.body)}`, { happened: "no" });
    this.status = answer.status;
  }
}

/** An answer of 200 may be a proxy's page, or a table of a version that comes after us: a failure of the catalog, which may pass. */
export function understood<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof CorruptData)) throw cause;
    throw new OperationFailed(`${what}: ${cause.message}`, { happened: "maybe", cause });
  }
}

export function outcomeOf(answer: RestResponse, what: string, source: string): CommitOutcome {
  if (answer.status === 200)
    return { kind: "committed", table: loadedTable(parseJsonObject(answer.body, source), source) };
  return failureOf(answer, what);
}

/** Of a commit that did not say that it happened. Throws what no repeat would help. */
export function failureOf(answer: RestResponse, what: string): Exclude<CommitOutcome, { readonly kind: "committed" }> {
  // A table that is gone is a conflict too: the caller loads again and finds out.
  if (answer.status === 409 || answer.status === 404) return { kind: "conflict", detail: detailOf(answer.body) };
  if (answer.status >= 500)
    return unknown(new NoAnswer({ method: `${what}: HTTP ${answer.status}`, uri: "" }, answer.body));
  throw new CatalogRefused(what, answer);
}

export function unknown(cause: unknown): UnknownOutcome {
  return { kind: "unknown", cause };
}

export function loadedTable(json: JsonObject, source: string): LoadedTable {
  const metadata = json["metadata"];
  const location = json["metadata-location"];
  if (!isJsonObject(metadata)) throw new CorruptData({ source, position: 0, expected: "metadata", found: "none" });
  return {
    metadata: toMetadata(metadata, source),
    metadataLocation: typeof location === "string" ? location : "", // A staged table has none yet.
    config: textsOf(json["config"]),
  };
}

/** In the words of AWS Glue, "Stage create is not supported"; others say it with 406. */
export function isUnstaged({ status, body }: RestResponse): boolean {
  return (status === 400 || status === 406) && /stage.?create/i.test(detailOf(body));
}

export function textsOf(json: Json | undefined): ReadonlyMap<string, string> {
  return new Map(isJsonObject(json) ? Object.entries(json).map(([name, value]) => [name, textOf(value)]) : []);
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : renderJson(value ?? null);
}

/** The message of an Iceberg error body, or the beginning of whatever came. */
function detailOf(body: string): string {
  const text = body.trim();
  if (!text.startsWith("{")) return text.slice(0, 200);
  try {
    const error = parseJson(text, "error answer") as JsonObject;
    const inner = error["error"];
    return isJsonObject(inner) ? textOf(inner["message"]).slice(0, 500) : text.slice(0, 200);
  } catch (cause) {
    if (cause instanceof CorruptData) return text.slice(0, 200);
    throw cause;
  }
}

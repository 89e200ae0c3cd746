/** Answers and errors in the words of the Iceberg REST specification: clients branch on `type` and on the status. */
import { CorruptData } from "../../base/errors.ts";
import type { HttpErrorWords, HttpRequest, HttpResponse } from "../../base/http.ts";
import { BadRequest } from "../catalog-wire.ts";
import { MetadataFileMissing } from "../commit/metadata-files.ts";
import { type JsonObject, parseJsonObject, renderJson } from "../iceberg/json.ts";

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  return { status, headers: { "content-type": "application/json", ...headers }, body: renderJson(value) };
}

export const noContent: HttpResponse = { status: 204 };

export function failure(status: number, type: string, message: string): HttpResponse {
  return json(status, { error: { message, type, code: status } });
}

export const noSuchNamespace = (name: string): HttpResponse =>
  failure(404, "NoSuchNamespaceException", `Namespace does not exist: ${shown(name)}`);

export const noSuchTable = (namespace: string, name: string): HttpResponse =>
  failure(404, "NoSuchTableException", `Table does not exist: ${shown(namespace)}.${name}`);

export const noSuchView = (namespace: string, name: string): HttpResponse =>
  failure(404, "NoSuchViewException", `View does not exist: ${shown(namespace)}.${name}`);

export const alreadyExists = (what: string, name: string): HttpResponse =>
  failure(409, "AlreadyExistsException", `${what} already exists: ${name}`);

export const cannotRename = (from: string, to: string, what: "Table" | "View"): HttpResponse =>
  failure(409, "AlreadyExistsException", `Cannot rename ${from} to ${to}. ${what} already exists`);

export const commitFailed = (detail: string): HttpResponse => failure(409, "CommitFailedException", detail);

/** RFC 6750: says how to come in, not why not. */
export const notAuthorized: HttpResponse = {
  ...failure(401, "NotAuthorizedException", "a token is wanted"),
  headers: { "content-type": "application/json", "www-authenticate": "Bearer" },
};

/** A namespace as people write it. */
export function shown(namespace: string): string {
  return namespace.replaceAll("\u001f", ".");
}

export const restCatalogErrorWords: HttpErrorWords = (status, message) =>
  failure(status, status >= 500 ? "ServerException" : "BadRequestException", message);

/** Runs the handler; what the client got wrong is a 400. Anything else is the server's to report. */
export function answering(
  handle: (request: HttpRequest) => HttpResponse | Promise<HttpResponse>,
): (request: HttpRequest) => Promise<HttpResponse> {
  return async (request) => {
    try {
      return await handle(request);
    } catch (cause) {
      if (cause instanceof BadRequest) return failure(400, "BadRequestException", cause.message);
      if (cause instanceof MetadataFileMissing) {
        return failure(404, "NotFoundException", `Failed to open input stream for file: ${cause.location}`);
      }
      throw cause;
    }
  };
}

export function bodyOf(request: HttpRequest): JsonObject {
  try {
    return parseJsonObject(Buffer.from(request.body).toString("utf8"), "request body");
  } catch (cause) {
    if (cause instanceof CorruptData) throw new BadRequest(`Malformed request: ${cause.message}`);
    throw cause;
  }
}

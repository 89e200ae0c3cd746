import type { Body } from "./object-store.ts";

export function viewsOf(body: Body): readonly Uint8Array[] {
  return body instanceof Uint8Array ? [body] : body;
}

export function bodyBytes(body: Body): number {
  return viewsOf(body).reduce((sum, view) => sum + view.length, 0);
}

/** A copy that nobody else holds. */
export function copyOf(body: Body): Uint8Array {
  const copy = new Uint8Array(bodyBytes(body));
  let at = 0;
  for (const view of viewsOf(body)) {
    copy.set(view, at);
    at += view.length;
  }
  return copy;
}

/** One piece, borrowed: a copy only when there are several views. */
export function onePiece(body: Body): Uint8Array {
  const views = viewsOf(body);
  return views.length === 1 ? (views[0] as Uint8Array) : copyOf(body);
}

export function sameBytes(body: Body, other: Uint8Array): boolean {
  let at = 0;
  for (const view of viewsOf(body)) {
    if (Buffer.compare(view, other.subarray(at, at + view.length)) !== 0) return false;
    at += view.length;
  }
  return at === other.length;
}

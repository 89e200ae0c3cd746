import { bytesOf, joined } from "../base/bytes.ts";
import type { Body } from "./object-store.ts";

export function viewsOf(body: Body): readonly Uint8Array[] {
  return body instanceof Uint8Array ? [body] : body;
}

export function bodyBytes(body: Body): number {
  return bytesOf(viewsOf(body));
}

/** A copy that nobody else holds. */
export function copyOf(body: Body): Uint8Array {
  return joined(viewsOf(body));
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

/**
 * What comes in, in one piece: in the room when it is announced to fit there, else in memory of its own. `came` counts what comes beyond
 * that length, too, of which nothing is kept. Nothing is written once the signal is aborted: the room is its owner's again.
 */
export async function gathered(
  chunks: AsyncIterable<Uint8Array> | undefined,
  options: {
    readonly bytesAnnounced: number | undefined;
    readonly room: Uint8Array | undefined;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly bytes: Uint8Array; readonly came: number }> {
  const { bytesAnnounced, room, signal } = options;
  if (bytesAnnounced === undefined) {
    const all: Uint8Array[] = [];
    for await (const chunk of chunks ?? []) all.push(chunk);
    const bytes = copyOf(all);
    return { bytes, came: bytes.length };
  }
  const isRoom = room !== undefined && bytesAnnounced <= room.length;
  const bytes = isRoom
    ? room.subarray(0, bytesAnnounced)
    : new Uint8Array(Buffer.allocUnsafeSlow(bytesAnnounced).buffer);
  let came = 0;
  for await (const chunk of chunks ?? []) {
    signal.throwIfAborted();
    if (came + chunk.length <= bytes.length) bytes.set(chunk, came);
    came += chunk.length;
  }
  signal.throwIfAborted();
  return { bytes, came };
}

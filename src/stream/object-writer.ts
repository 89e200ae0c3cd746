/** Puts an object into the store as it is encoded: in one request, or in parts when it is large. */
import type { Gate } from "../base/async.ts";
import { bodyBytes } from "../object-store/body.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { Hedge } from "./hedge.ts";

export interface ObjectToWrite {
  readonly key: string;
  /** About how long it will be. */
  readonly bytes: number;
  readonly pieces: AsyncIterable<readonly Uint8Array[]>;
}

export interface WriteOptions {
  readonly store: ObjectStore;
  readonly gate: Gate;
  readonly uploadPartBytes: number;
  /** The next part is not begun before this one is there: half the memory, for who has time. */
  readonly isUnhurried?: boolean;
  /** Sends again what is slow; without it nothing is. */
  readonly hedge?: Hedge;
}

/**
 * Returns the object's length. Calls of one gate share its places: it bounds what is encoded and on its way. The bytes of the
 * pieces must never be written again: a slow copy may still be on its way when the object is there.
 */
export async function writeObject(object: ObjectToWrite, options: WriteOptions): Promise<number> {
  const wholeBytesMax = (options.isUnhurried === true ? 1 : 2) * wholeSlack * options.uploadPartBytes;
  return object.bytes <= wholeBytesMax ? await putWhole(object, options) : await putParts(object, options);
}

async function putWhole({ key, pieces }: ObjectToWrite, { store, gate, hedge }: WriteOptions): Promise<number> {
  using _place = await gate.enter();
  const views: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    views.push(...piece);
    for (const view of piece) bytes += view.length;
  }
  const send = async (): Promise<void> => {
    // "exists" is this same call, sent twice or tried before with an answer that got lost: no one else makes this name.
    await store.putIfAbsent(key, views);
  };
  await (hedge === undefined ? send() : hedge.run(bytes, send));
  return bytes;
}

async function putParts({ key, pieces }: ObjectToWrite, options: WriteOptions): Promise<number> {
  const upload = await options.store.multipart(key);
  try {
    const parts: Promise<void>[] = [];
    let views: Uint8Array[] = [];
    let viewsBytes = 0;
    let bytes = 0;
    const send = async (): Promise<void> => {
      const place = await options.gate.enter(); // Before the next part is encoded: this bounds the memory.
      const body = views;
      const number = parts.length + 1;
      const send = (): Promise<void> => upload.part(body, number);
      const sent = options.hedge === undefined ? send() : options.hedge.run(bodyBytes(body), send);
      const part = sent.finally(() => place[Symbol.dispose]());
      part.catch(() => undefined); // Awaited below, with the others.
      parts.push(part);
      views = [];
      viewsBytes = 0;
      if (options.isUnhurried === true) await part;
    };
    for await (const piece of pieces) {
      views.push(...piece);
      for (const view of piece) {
        viewsBytes += view.length;
        bytes += view.length;
      }
      if (viewsBytes >= options.uploadPartBytes) await send();
    }
    if (views.length > 0) await send();
    await Promise.all(parts);
    await upload.complete();
    return bytes;
  } catch (cause) {
    await upload.abort();
    throw cause;
  }
}

/** A generation is cut when it is full, and so is always a little larger than it was to be. In parts it would cost four requests more. */
const wholeSlack = 1.25;

/** Proves: a body that comes in chunks lies where it may, and nowhere after its reader has gone. */
import { describe, expect, test } from "vitest";
import { gathered } from "../../src/object-store/body.ts";

async function* chunks(...given: readonly (readonly number[])[]): AsyncIterable<Uint8Array> {
  for (const chunk of given) yield Uint8Array.from(chunk);
}

const signal = new AbortController().signal;

describe("a body gathered", () => {
  test("lies in the room when it is announced to fit there", async () => {
    const room = new Uint8Array(9);
    const found = await gathered(chunks([1, 2], [], [3]), { bytesAnnounced: 3, room, signal });
    expect(found).toEqual({ bytes: Uint8Array.of(1, 2, 3), came: 3 });
    expect(found.bytes.buffer).toBe(room.buffer);
  });

  test("has memory of its own when it is larger, or says nothing of its length", async () => {
    const room = new Uint8Array(2);
    for (const bytesAnnounced of [3, undefined]) {
      const found = await gathered(chunks([1, 2], [3]), { bytesAnnounced, room, signal });
      expect(found).toEqual({ bytes: Uint8Array.of(1, 2, 3), came: 3 });
    }
    expect(room).toEqual(new Uint8Array(2));
    expect(await gathered(undefined, { bytesAnnounced: 0, room, signal })).toEqual({
      bytes: new Uint8Array(),
      came: 0,
    });
  });

  test("says how much came when that is not what was announced, and writes nothing beyond", async () => {
    const room = new Uint8Array(9);
    const more = await gathered(chunks([1, 2], [3, 4]), { bytesAnnounced: 3, room, signal });
    expect([more.came, room]).toEqual([4, Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0, 0)]);
    expect((await gathered(chunks([1]), { bytesAnnounced: 3, room, signal })).came).toBe(1);
  });

  test("does not write into the room of a reader that gave up", async () => {
    const room = new Uint8Array(9);
    const over = new AbortController();
    async function* late(): AsyncIterable<Uint8Array> {
      yield Uint8Array.of(1);
      over.abort(new Error("no answer in time"));
      room.fill(7);
      yield Uint8Array.of(2);
    }
    await expect(gathered(late(), { bytesAnnounced: 2, room, signal: over.signal })).rejects.toThrow(
      "no answer in time",
    );
    expect(room).toEqual(new Uint8Array(9).fill(7));
  });
});

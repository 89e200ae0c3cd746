/** What every ObjectStore does. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CorruptData } from "../../src/base/errors.ts";
import { ObjectMissing, type ObjectStore } from "../../src/object-store/object-store.ts";

export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** Lets the work go on; a simulation turns its clock here. */
  run<T>(work: Promise<T>): Promise<T>;
  dispose(): PromiseLike<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (found: Uint8Array): string => new TextDecoder().decode(found);

async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

/** `doubts`: failures may leave it open whether a conditional replacement happened, so only its absence of lies is tested elsewhere. */
export function objectStoreContract(
  name: string,
  setUp: () => Promise<StoreUnderTest>,
  options: { readonly doubts: boolean } = { doubts: false },
): void {
  describe(`object store contract: ${name}`, () => {
    let world: StoreUnderTest;
    beforeEach(async () => {
      world = await setUp();
    });
    afterEach(async () => await world.dispose());
    const inWorld = (work: (store: ObjectStore) => Promise<void>) => (): Promise<void> => world.run(work(world.store));

    test(
      "what was put is read back, whole, in ranges, and replaced by the next put",
      inWorld(async (store) => {
        await store.put("a/b/c.bin", [bytes("hello "), bytes(""), bytes("world")]);
        expect(text(await store.get("a/b/c.bin"))).toBe("hello world");
        expect(text(await store.get("a/b/c.bin", { start: 6, end: 9 }))).toBe("wor");
        expect(text(await store.get("a/b/c.bin", { start: 0, end: 11 }))).toBe("hello world");
        await store.put("a/b/c.bin", bytes("short"));
        expect(text(await store.get("a/b/c.bin"))).toBe("short");
        await store.put("empty", bytes(""));
        expect(text(await store.get("empty"))).toBe("");
      }),
    );

    test(
      "what is put may lie in shared memory, as slabs do",
      inWorld(async (store) => {
        const shared = new Uint8Array(new SharedArrayBuffer(20)).subarray(3, 14);
        shared.set(bytes("hello world"));
        await store.put("one", shared);
        expect(text(await store.get("one"))).toBe("hello world");
        await store.put("views", [shared.subarray(6), bytes(", "), shared.subarray(0, 5)]);
        expect(text(await store.get("views"))).toBe("world, hello");
        await store.putIfAbsent("new", shared);
        expect(text(await store.get("new"))).toBe("hello world");
        const upload = await store.multipart("parts");
        await upload.part(shared);
        await upload.complete();
        expect(text(await store.get("parts"))).toBe("hello world");
      }),
    );

    test(
      "what is read may lie in the room that it was given, and is the same elsewhere",
      inWorld(async (store) => {
        await store.put("a", bytes("0123456789"));
        const room = new Uint8Array(10 + 4096);
        expect(text(await store.get("a", { start: 2, end: 7 }, room))).toBe("23456");
        expect(text(await store.get("a", undefined, room))).toBe("0123456789");
        await expect(store.get("a", { start: 8, end: 12 }, room)).rejects.toThrow(CorruptData);
      }),
    );

    test(
      "what is stored and what is returned are copies",
      inWorld(async (store) => {
        const body = bytes("abc");
        await store.put("a", body);
        body.fill(0);
        (await store.get("a")).fill(0);
        expect(text(await store.get("a"))).toBe("abc");
      }),
    );

    test(
      "a missing object is ObjectMissing, a range beyond the end is CorruptData",
      inWorld(async (store) => {
        await store.put("a/b", bytes("12345"));
        await expect(store.get("none")).rejects.toThrow(ObjectMissing);
        await expect(store.get("none", { start: 0, end: 1 })).rejects.toThrow(ObjectMissing);
        await expect(store.get("a")).rejects.toThrow(ObjectMissing);
        await expect(store.get("a/b", { start: 3, end: 6 })).rejects.toThrow(CorruptData);
        await expect(store.get("a/b", { start: 5, end: 6 })).rejects.toThrow(CorruptData);
        await expect(store.get("a/b", { start: 9, end: 12 })).rejects.toThrow(CorruptData);
      }),
    );

    test(
      "head and list say size, ETag and time of the same object",
      inWorld(async (store) => {
        const { etag } = await store.put("dir/a", bytes("12345"));
        const info = await store.head("dir/a");
        expect(info).toMatchObject({ key: "dir/a", size: 5, etag });
        expect(info?.modifiedMs).toBeGreaterThan(1_000_000_000_000);
        for await (const listed of store.list("dir/")) expect(listed).toMatchObject({ key: "dir/a", size: 5, etag });
        expect(await store.head("dir")).toBeUndefined();
        expect(await store.head("nothing")).toBeUndefined();
      }),
    );

    test(
      "keys are listed by prefix, those of one folder in byte order",
      inWorld(async (store) => {
        const keys = ["a-b", "a.c", "a/b-c/d", "a/b.c", "a0", "b/z%2Fq", "b/\u00e9=1/x y"];
        for (const key of keys.toReversed()) await store.put(key, bytes(key));
        const folder = (key: string): string => key.slice(0, key.lastIndexOf("/") + 1);
        for (const prefix of ["", "a", "a/", "a/b", "a/b-", "b", "zzz"]) {
          const expected = keys.filter((key) => key.startsWith(prefix));
          const found = await keysOf(store, prefix);
          expect(found.toSorted(), prefix).toEqual(expected.toSorted());
          for (const one of new Set(keys.map(folder))) {
            const inFolder = (key: string): boolean => folder(key) === one;
            expect(found.filter(inFolder), prefix).toEqual(expected.filter(inFolder));
          }
        }
        for (const key of keys) expect(text(await store.get(key))).toBe(key);
      }),
    );

    test(
      "delete takes many keys and forgives missing ones",
      inWorld(async (store) => {
        await store.put("d/a", bytes("a"));
        await store.put("d/b", bytes("b"));
        await store.delete(["d/a", "d/none", "none/at/all"]);
        expect(await keysOf(store, "")).toEqual(["d/b"]);
        await store.delete([]);
      }),
    );

    test(
      "put-if-absent creates once and then leaves the present object alone",
      inWorld(async (store) => {
        const first = await store.putIfAbsent("s/1", bytes("mine"));
        expect(first.kind).toBe("created");
        expect(await store.putIfAbsent("s/1", bytes("other"))).toEqual({ kind: "exists" });
        expect(text(await store.get("s/1"))).toBe("mine");
        await store.delete(["s/1"]);
        expect((await store.putIfAbsent("s/1", bytes("again"))).kind).toBe("created");
      }),
    );

    test(
      "of many put-if-absent at once exactly one creates, and its bytes stay",
      inWorld(async (store) => {
        for (let round = 0; round < 5; round++) {
          const outcomes = await Promise.all(
            Array.from({ length: 8 }, (_, i) => store.putIfAbsent(`race/${round}`, bytes(`writer ${i}`))),
          );
          const winner = outcomes.findIndex((outcome) => outcome.kind === "created");
          expect(outcomes.filter((outcome) => outcome.kind === "created")).toHaveLength(1);
          expect(text(await store.get(`race/${round}`))).toBe(`writer ${winner}`);
        }
      }),
    );

    test.skipIf(options.doubts)(
      "put-if-match replaces only the version it names; a missing object is a mismatch",
      inWorld(async (store) => {
        const first = await store.put("p", bytes("v1"));
        const second = await store.putIfMatch("p", bytes("v2"), first.etag);
        expect(second.kind).toBe("replaced");
        expect(await store.putIfMatch("p", bytes("v3"), first.etag)).toEqual({ kind: "mismatch" });
        expect(text(await store.get("p"))).toBe("v2");
        expect((await store.head("p"))?.etag).toBe(second.kind === "replaced" ? second.etag : undefined);
        expect(await store.putIfMatch("absent", bytes("x"), first.etag)).toEqual({ kind: "mismatch" });
        expect(await store.head("absent")).toBeUndefined();
      }),
    );

    test.skipIf(options.doubts)(
      "of many put-if-match on one version exactly one replaces",
      inWorld(async (store) => {
        const { etag } = await store.put("p", bytes("start"));
        const outcomes = await Promise.all(
          Array.from({ length: 8 }, (_, i) => store.putIfMatch("p", bytes(`next${i}`), etag)),
        );
        expect(outcomes.filter((outcome) => outcome.kind === "replaced")).toHaveLength(1);
      }),
    );

    test(
      "a multipart upload appears at complete, in the order of the parts' numbers",
      inWorld(async (store) => {
        const large = new Uint8Array(5 * 1024 * 1024).fill(7);
        const upload = await store.multipart("m/x");
        await Promise.all([upload.part(bytes("tail"), 2), upload.part([large.subarray(0, 9), large.subarray(9)], 1)]);
        expect(await store.head("m/x")).toBeUndefined();
        const { etag } = await upload.complete();
        expect(await store.head("m/x")).toMatchObject({ size: large.length + 4, etag });
        expect(text(await store.get("m/x", { start: large.length, end: large.length + 4 }))).toBe("tail");
        expect((await store.get("m/x", { start: 100, end: 102 })).every((byte) => byte === 7)).toBe(true);
      }),
    );

    test(
      "parts without numbers are numbered by call order, and a repeated part replaces itself",
      inWorld(async (store) => {
        const upload = await store.multipart("m/y");
        await upload.part(new Uint8Array(5 * 1024 * 1024));
        await upload.part(bytes("wrong"));
        await upload.part(bytes("right"), 2);
        await upload.complete();
        expect((await store.get("m/y")).subarray(5 * 1024 * 1024)).toEqual(bytes("right"));
      }),
    );

    test(
      "an aborted upload leaves nothing, and may be aborted again",
      inWorld(async (store) => {
        const upload = await store.multipart("m/z");
        await upload.part(bytes("x"));
        await upload.abort();
        await upload.abort();
        expect(await keysOf(store, "")).toEqual([]);
      }),
    );
  });
}

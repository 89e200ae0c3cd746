/** Proves: a URL opens the store it names, what it cannot mean is refused without repeating its secrets, and requests are counted. */
import { describe, expect, test } from "vitest";
import type { Labels } from "../../src/base/telemetry.ts";
import { openObjectStore } from "../../src/object-store/open.ts";
import { SimClock } from "../sim/clock.ts";
import { SimDisk } from "../sim/disk.ts";
import { SimRandom } from "../sim/random.ts";

function deps() {
  const clock = new SimClock();
  const random = new SimRandom(1);
  const counted: string[] = [];
  const dollars = new Map<string, number>();
  const count = (amount: number, labels?: Labels): void => {
    counted.push(`${Object.values(labels ?? {}).join(" ")} ${amount}`);
  };
  return {
    clock,
    counted,
    dollars,
    runtime: { clock, random },
    disk: new SimDisk({ clock, random }),
    limits: {
      requestMsMax: 1000,
      connectMsMax: 1000,
      socketsMax: 4,
      retry: { attemptsMax: 1, delayMsMin: 1, delayMsMax: 1 },
    },
    metrics: {
      requests: { add: count },
      bytes: { add: count },
      latencyMs: { observe: () => {} },
      dollars: {
        add: (amount: number, labels?: Labels): void => {
          const { class: priced } = labels as { readonly class: string };
          dollars.set(priced, (dollars.get(priced) ?? 0) + amount);
        },
      },
      prices: {
        write: { perRequestNanodollars: 5000 },
        read: { perRequestNanodollars: 400 },
        delete: { perRequestNanodollars: 0 },
        in: { perGibNanodollars: 0 },
        out: { perGibNanodollars: 2 ** 30 },
      },
    },
  };
}

describe("open", () => {
  test("memory, file and s3", async () => {
    const d = deps();
    expect((await openObjectStore("memory://", d)).url).toBe("memory://");
    expect((await d.clock.until(openObjectStore("file:///data/my%20objects", d))).url).toBe("file:///data/my objects");
    const s3 = await openObjectStore(
      "s3://bucket/a/b/?endpoint=http://127.0.0.1:1&pathStyle=true&accessKey=k&secretKey=s",
      d,
    );
    expect(s3.url).toBe("s3://bucket/a/b");
    await s3[Symbol.asyncDispose]();
  });

  test.each(["", "ftp://x", "file://host/x", "s3:///x", "s3://bucket?secretKey=hush&wrong=1"])(
    "%j is refused",
    async (url) => {
      const failure = await openObjectStore(url, deps()).catch((cause: unknown) => cause);
      expect(failure).toMatchObject({ name: "StoreFailed", retriable: false });
      expect(String(failure)).not.toContain("hush");
    },
  );

  test("requests are counted with their outcome, bytes with their direction", async () => {
    const d = deps();
    const store = await openObjectStore("memory://", d);
    await store.put("a", new Uint8Array(5));
    await store.get("a", { start: 1, end: 3 });
    await expect(store.get("b")).rejects.toThrow();
    expect(d.counted).toEqual(["put ok 1", "in 5", "get ok 1", "out 2", "get missing 1"]);
  });

  test("what went out is priced by its class, parts and pages one by one", async () => {
    const d = deps();
    const store = await openObjectStore("memory://", d);
    const upload = await store.multipart("m");
    await upload.part(new Uint8Array(7));
    await upload.part(new Uint8Array(7));
    await upload.complete();
    for (let index = 0; index < 1001; index += 1) await store.put(`k${index}`, new Uint8Array(1));
    for await (const { key } of store.list("k")) expect(key).toMatch(/^k/);
    for await (const { key } of store.list("none")) expect.unreachable(key);
    await store.get("m");
    await store.head("m");
    await store.delete(["m"]);
    const written = 4 + 1001 + 2 + 1;
    expect(d.dollars.get("write")).toBeCloseTo(written * 5e-6, 12);
    expect(d.dollars.get("read")).toBeCloseTo(2 * 4e-7, 12);
    expect(d.dollars.get("delete")).toBe(0);
    expect(d.dollars.get("out")).toBeCloseTo(14e-9, 15);
    expect(d.counted.filter((line) => line.startsWith("list"))).toEqual(["list ok 2", "list ok 1"]);
  });
});

/** Proves: inspect and verify read a real broker's data, running or stopped, and change nothing; damage is told without a stack. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../support/inlet-process.ts";
import { checkout } from "../support/processes.ts";

let home: string;
let broker: InletBroker | undefined;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "inlet-inspect-"));
  broker = await startInlet({
    directory: home,
    name: "inspect",
    config: { stream: { upload: { interval: { ms: { max: 200 } } } } },
  });
  await inlet("-b", broker.bootstrap, "topic", "create", "orders");
  await produce(broker.bootstrap, "one\ntwo\n");
}, 60_000);
afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(home, { recursive: true });
});

interface Said {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

async function inlet(...args: readonly string[]): Promise<Said> {
  const run = promisify(execFile)(join(checkout, "bin/inlet"), args, { cwd: home });
  return await run.then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, error: stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      code,
      out: stdout,
      error: stderr,
    }),
  );
}

async function produce(bootstrap: string, lines: string): Promise<void> {
  const run = promisify(execFile)(join(checkout, "bin/inlet"), ["-b", bootstrap, "topic", "produce", "orders"]);
  run.child.stdin?.end(lines);
  await run;
}

/** Every file of the data, and what is in it. */
function contents(): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(join(home, "data"), { recursive: true, withFileTypes: true })) {
    const path = join(name.parentPath, name.name);
    hash.update(path);
    if (name.isFile()) hash.update(readFileSync(path));
  }
  return hash.digest("hex");
}

const lines = ({ out }: Said): readonly Record<string, unknown>[] =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("a broker at work may be looked at, and is spoken of", { timeout: 60_000 }, async () => {
  const groups = await inlet("inspect", "wal", "--json");
  expect(groups.error).toContain("is at work on this data");
  expect(lines(groups).filter(({ what }) => what === "group").length).toBeGreaterThan(1);
  await expect.poll(async () => (await inlet("inspect", "objects")).out, { timeout: 20_000 }).toContain("kind=stream");
  const verified = await inlet("verify", "--storage");
  expect([verified.code, verified.out]).toEqual([0, expect.stringContaining("ok: ")]);
});

test("a stopped broker's data are shown and verified, and stay as they are", { timeout: 60_000 }, async () => {
  await broker?.[Symbol.asyncDispose]();
  broker = undefined;
  const before = contents();
  const records = lines(await inlet("inspect", "wal", "--records", "--json")).filter(({ what }) => what === "record");
  expect(records.map(({ from, to }) => [from, to])).toEqual([[0, 2]]);
  const kinds = lines(await inlet("inspect", "metadata", "--json")).map(({ what }) => what);
  expect(kinds).toEqual(expect.arrayContaining(["register-node", "create-topic", "open-streams"]));
  expect(lines(await inlet("inspect", "index", "orders", "0", "--json"))[0]).toMatchObject({
    what: "stream",
    start: 0,
  });
  const checkpoint = await inlet("inspect", "checkpoint", "--json");
  expect(JSON.parse(checkpoint.out)).toMatchObject({ topics: 2, partitions: 2 });
  const [object] = lines(await inlet("inspect", "objects", "--json"));
  const shown = await inlet("inspect", "object", object?.["key"] as string, "--batches");
  expect([shown.code, shown.out]).toEqual([0, expect.stringMatching(/block .*state=ok\n {4}batch from=0 to=2/)]);
  const { code, out, error } = await inlet("verify", "--storage", "--json");
  expect([code, error]).toEqual([0, ""]);
  expect(JSON.parse(out)).toMatchObject({ problems: [], counts: { walRecords: 1 } });
  expect(contents()).toBe(before);
});

test("what is not there is 4, and what is damaged is 1, with its place and no stack", { timeout: 60_000 }, async () => {
  expect((await inlet("inspect", "object", "objects/none")).code).toBe(4);
  expect((await inlet("inspect", "index", "orders", "7")).code).toBe(4);
  expect((await inlet("inspect", "wal", join(home, "nowhere"))).code).toBe(4);
  const [log] = readdirSync(join(home, "data/metadata"));
  const path = join(home, "data/metadata", log as string);
  const bytes = readFileSync(path);
  bytes.fill(0, 200, 210);
  writeFileSync(path, bytes);
  const shown = await inlet("inspect", "metadata");
  expect(shown).toMatchObject({ code: 1, out: expect.stringContaining("register-node") });
  expect(shown.error).toMatch(/^inlet: corrupt .*metadata.* at byte \d+: expected entry/);
  const verified = await inlet("verify", "--storage");
  expect(verified).toMatchObject({ code: 1, out: expect.stringContaining("corrupt-metadata: ") });
  expect(verified.error).toBe("inlet: 1 problem in the storage\n");
});

test("a WAL in the object store is shown slot by slot, and verified", { timeout: 60_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-inspect-slots-"));
  const before = home;
  home = directory;
  try {
    await using second = await startInlet({ directory, name: "inspect", config: { wal: { kind: "object" } } });
    await inlet("-b", second.bootstrap, "topic", "create", "orders");
    await produce(second.bootstrap, "one\ntwo\n");
    const shown = lines(await inlet("inspect", "wal", "--records", "--json"));
    expect(shown.some(({ what, key }) => what === "slot" && String(key).startsWith("wal/1/"))).toBe(true);
    expect(shown.some(({ what, from, to }) => what === "record" && from === 0 && to === 2)).toBe(true);
    const verified = await inlet("verify", "--storage", "--json");
    expect([verified.code, JSON.parse(verified.out)]).toMatchObject([0, { problems: [] }]);
  } finally {
    home = before;
    rmSync(directory, { recursive: true });
  }
});

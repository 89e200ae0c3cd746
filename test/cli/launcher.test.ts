/** Proves: bin/inlet finds a Node that runs TypeScript, passes signals and exit codes through, and says what is missing. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "inlet-launcher-"));
  cpSync(join(root, "bin"), join(home, "bin"), { recursive: true });
});
afterEach(() => rmSync(home, { recursive: true }));

/** A script in the place of src/cli.ts. TypeScript, so that only a new Node runs it. */
function script(text: string): void {
  mkdirSync(join(home, "src"));
  writeFileSync(join(home, "package.json"), '{"type":"module"}');
  writeFileSync(join(home, "src/cli.ts"), text);
}

/** The Node that the launcher is told to find: this one, under the platform package's name. */
function bringNode(): void {
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  mkdirSync(join(home, "node_modules", name, "bin"), { recursive: true });
  symlinkSync(process.execPath, join(home, "node_modules", name, "bin", "node"));
}

function launch(args: readonly string[] = [], preload = "") {
  const run = preload === "" ? [] : ["-r", preload];
  const child = spawn(process.execPath, [...run, join(home, "bin/inlet"), ...args]);
  let out = "";
  let error = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (error += chunk.toString()));
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, out, error }));
  return { child, ended };
}

/** A new Node becomes the other program; an old one, which cannot, stays in front of it. */
describe.each(["new", "old"] as const)("the launcher under a Node that is %s", (age) => {
  const launchAs = (args: readonly string[] = []): ReturnType<typeof launch> => {
    const preload = join(home, "preload.cjs");
    writeFileSync(preload, age === "old" ? "delete process.execve;" : "");
    return launch(args, preload);
  };

  test("hands on arguments, exit code and the size of the thread pool", async () => {
    bringNode();
    script(
      "const code: number = 7; console.log(process.argv.slice(2).join(), process.env.UV_THREADPOOL_SIZE); process.exitCode = code;",
    );
    expect(await launchAs(["a", "--b", "c d"]).ended).toMatchObject({ code: 7, out: "a,--b,c d 16\n" });
  });

  test("passes SIGTERM on and waits for the graceful end", async () => {
    bringNode();
    script(
      'process.on("SIGTERM", () => { console.log("closing"); clearInterval(held); process.exitCode = 3; }); const held = setInterval(() => {}, 1000); console.log("up");',
    );
    const { child, ended } = launchAs();
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    expect(await ended).toMatchObject({ code: 3, out: "up\nclosing\n" });
  });

  test("ends as the other program ended, by a signal too", async () => {
    bringNode();
    script('process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000);');
    expect((await launchAs().ended).code).toBe(age === "old" ? 137 : null);
  });
});

describe("the launcher", () => {
  test("killed, it leaves no broker behind", async () => {
    const preload = join(home, "preload.cjs");
    writeFileSync(preload, "delete process.execve;");
    const args = ["-r", preload, join(root, "bin/inlet"), "start", "--data-directory", join(home, "data")];
    const ports = ["--kafka-port", "--registry-port", "--catalog-port", "--http-port"].flatMap((flag) => [flag, "0"]);
    const child = spawn(process.execPath, [...args, ...ports], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data"); // It logs: the other program runs.
    child.kill("SIGKILL");
    await once(child, "close"); // Standard output closes when both have ended.
  });

  test("an old Node without one of ours is told what to do", async () => {
    script("console.log('never')");
    const old = join(home, "old.cjs");
    writeFileSync(
      old,
      'Object.defineProperty(process, "versions", { value: { node: "20.20.2" } }); Object.defineProperty(process, "version", { value: "v20.20.2" });',
    );
    const { code, out, error } = await launch([], old).ended;
    expect([code, out]).toEqual([1, ""]);
    expect(error).toContain("needs Node 24 or newer, and this is v20.20.2");
    expect(error).toContain("npm ci");
  });

  test("the real command starts", () => {
    const out = execFileSync(join(root, "bin/inlet"), ["--version"], { encoding: "utf8" });
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

/** Proves: one live process holds a data directory; one that has ended holds nothing, noticed by its parent or not. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { OperationFailed } from "../src/base/errors.ts";
import { lockDirectory } from "../src/directory-lock.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-lock-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const heldBy = (pid: number): void =>
  writeFileSync(join(directory, "inlet.lock"), JSON.stringify({ pid, startedAt: "" }));

test("a directory is held until it is let go of, by no second holder", () => {
  const first = lockDirectory(directory);
  expect(() => lockDirectory(directory)).toThrow(OperationFailed);
  first[Symbol.dispose]();
  lockDirectory(directory)[Symbol.dispose]();
});

test("a live process is named, and what it holds is left alone", () => {
  heldBy(process.ppid);
  expect(() => lockDirectory(directory)).toThrow(`in use by process ${process.ppid}`);
  expect(readFileSync(join(directory, "inlet.lock"), "utf8")).toContain(String(process.ppid));
});

test.runIf(process.platform === "linux")("a process that ended, but was not waited for, holds nothing", async () => {
  // What the shell becomes never asks how its child ended.
  const parent = spawn("sh", ["-c", "sh -c 'echo $$' & exec sleep 60"]);
  try {
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(line.toString());
    const state = (): string => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0] ?? "";
    await expect.poll(state).toBe("Z");
    heldBy(pid);
    lockDirectory(directory)[Symbol.dispose]();
  } finally {
    parent.kill("SIGKILL");
  }
});

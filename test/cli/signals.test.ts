/** Proves: the first signal asks, a second one ends, and the same wish passed on twice is one. */
import { expect, test } from "vitest";
import type { Clock } from "../../src/base/runtime.ts";
import { watchSignals } from "../../src/cli/signals.ts";

function watched() {
  let time = 0;
  const clock: Clock = { now: () => time, monotonic: () => time, after: () => ({ [Symbol.dispose]: () => undefined }) };
  const listeners = new Map<string, () => void>();
  const exits: number[] = [];
  const signals = watchSignals(
    clock,
    (name, listener) => listeners.set(name, listener),
    (code) => exits.push(code),
  );
  return { signals, exits, send: (name: string) => listeners.get(name)?.(), advance: (ms: number) => (time += ms) };
}

test("the first signal aborts and exits nothing", () => {
  const { signals, exits, send } = watched();
  expect(signals.signal.aborted).toBe(false);
  send("SIGTERM");
  expect([signals.signal.aborted, exits]).toEqual([true, []]);
});

test("another signal later ends at once, with the code of that signal", () => {
  const { exits, send, advance } = watched();
  send("SIGTERM");
  advance(600);
  send("SIGINT");
  expect(exits).toEqual([130]);
});

test("the same signal passed on by launcher and terminal is one wish", () => {
  const { exits, send, advance } = watched();
  send("SIGINT");
  advance(20);
  send("SIGINT");
  expect(exits).toEqual([]);
});

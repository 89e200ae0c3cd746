/** Proves: who asks for a graceful end gets the first signal, a second one ends, and the same wish passed on twice is one. */
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

test("a signal that nobody asked for ends at once, with its code", () => {
  const { exits, send } = watched();
  send("SIGINT");
  send("SIGTERM");
  expect(exits).toEqual([130, 143]);
});

test("the first signal aborts and exits nothing", () => {
  const { signals, exits, send } = watched();
  const signal = signals.graceful();
  expect(signal.aborted).toBe(false);
  send("SIGTERM");
  expect([signal.aborted, exits]).toEqual([true, []]);
});

test("another signal later ends at once, with the code of that signal", () => {
  const { signals, exits, send, advance } = watched();
  signals.graceful();
  send("SIGTERM");
  advance(600);
  send("SIGINT");
  expect(exits).toEqual([130]);
});

test("the same signal passed on by launcher and terminal is one wish", () => {
  const { signals, exits, send, advance } = watched();
  signals.graceful();
  send("SIGINT");
  advance(20);
  send("SIGINT");
  expect(exits).toEqual([]);
});

test("a launcher that is gone asks as a signal does", () => {
  const { signals, exits } = watched();
  const signal = signals.graceful();
  signals.stop();
  expect([signal.aborted, exits]).toEqual([true, []]);
});

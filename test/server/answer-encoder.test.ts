/** Proves: a short answer is encoded in the turn in which it is known, of long ones one at a time, with turns for others between. */
import { expect, test } from "vitest";
import { AnswerEncoder } from "../../src/server/answer-encoder.ts";
import { BusyClock } from "../support/busy-clock.ts";

const views = [Uint8Array.of(1)];
const patient = new AbortController().signal;

/** An answer of so many steps, and how many were taken. */
function answer(count: number) {
  const taken = { steps: 0 };
  const steps = function* (): Generator<void, readonly Uint8Array[], void> {
    for (; taken.steps < count; taken.steps += 1) yield;
    return views;
  };
  return { steps: steps(), taken };
}

test("a short one is not waited for", () => {
  const clock = new BusyClock();
  expect(new AnswerEncoder(clock).encode(answer(1).steps, patient)).toBe(views);
  expect(clock.turns).toBe(0);
});

test("others have their turns while a long one is made, and short ones pass it", async () => {
  const clock = new BusyClock();
  const encoder = new AnswerEncoder(clock);
  const long = encoder.encode(answer(1000).steps, patient);
  expect(encoder.encode(answer(1).steps, patient)).toBe(views);
  expect(await long).toBe(views);
  expect(clock.turns).toBeGreaterThan(100);
});

test("the second of two long ones waits for the first", async () => {
  const encoder = new AnswerEncoder(new BusyClock());
  const [first, second] = [answer(1000), answer(1000)];
  const answers = [encoder.encode(first.steps, patient), encoder.encode(second.steps, patient)];
  await answers[0];
  expect(first.taken.steps).toBe(1000);
  expect(second.taken.steps).toBeLessThan(10);
  await answers[1];
  expect(second.taken.steps).toBe(1000);
});

test("nobody's answer is given up, and the next one is made", async () => {
  const encoder = new AnswerEncoder(new BusyClock());
  const gone = new AbortController();
  const [first, second, third] = [answer(1000), answer(1000), answer(1000)];
  const answers = [first, second].map(({ steps }) => encoder.encode(steps, gone.signal));
  const last = encoder.encode(third.steps, patient);
  gone.abort();
  for (const answered of answers) expect(await answered).toBe("gone");
  expect(first.taken.steps + second.taken.steps).toBeLessThan(20);
  expect(await last).toBe(views);
});

test("a step that throws is its caller's, and the next one is made", async () => {
  const encoder = new AnswerEncoder(new BusyClock());
  const failing = (function* (): Generator<void, readonly Uint8Array[], void> {
    for (let step = 0; step < 100; step += 1) yield;
    throw new Error("of a handler");
  })();
  await expect(encoder.encode(failing, patient)).rejects.toThrow("of a handler");
  expect(await encoder.encode(answer(1000).steps, patient)).toBe(views);
});

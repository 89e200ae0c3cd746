/** Tests that let a process die at each of its steps in turn, until its work comes to its end before it. */
import { expect, test } from "vitest";

/**
 * In parts, so that each stays short: part n tries step n, n + parts, and so on. `attempt` says whether there was such a step;
 * `stepsMin` are expected of each part, since one that dies nowhere has tried nothing.
 */
export function atEachStep(
  name: string,
  { parts = 1, stepsMin = 6 }: { readonly parts?: number; readonly stepsMin?: number },
  attempt: (step: number) => Promise<boolean>,
): void {
  test.each(Array.from({ length: parts }, (_, part) => part + 1))(
    parts === 1 ? name : `${name}: part %i`,
    async (part) => {
      let died = 0;
      for (let step = part; await attempt(step); step += parts) died += 1;
      expect(died).toBeGreaterThanOrEqual(stepsMin);
    },
    60_000,
  );
}

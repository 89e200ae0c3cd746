/** Makes a sequence that shows a difference smaller: steps go as long as the same difference stays. */
import type { Finding, Runner } from "./runner.ts";
import type { Step } from "./step.ts";

/** What a difference is called: sequences that show the same one have one cause. */
export function signature(finding: Finding): string {
  const { api, mangle } = finding.step;
  const parts = finding.differences.map(({ path, kafka, inlet }) => {
    return `${path}: kafka ${short(kafka)}, inlet ${short(inlet)}`;
  });
  return `${api}${mangle === undefined ? "" : ` (${mangle.kind})`} ${[...new Set(parts)].sort()[0]}`;
}

function short(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 120) ?? "nothing";
}

export async function shrink(runner: Runner, steps: readonly Step[], wanted: string): Promise<readonly Step[]> {
  let smallest = steps;
  for (let at = smallest.length - 2; at >= 0; at -= 1) {
    const without = smallest.filter((_, index) => index !== at);
    const { finding } = await runner.run(without);
    if (finding !== undefined && signature(finding) === wanted) smallest = without.slice(0, finding.at + 1);
    at = Math.min(at, smallest.length - 1);
  }
  return smallest;
}

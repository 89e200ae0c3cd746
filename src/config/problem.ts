/** What is wrong with the configuration, where, and how to put it right. All of it is collected before anything is printed. */

/** Where a value was said. Lines and columns count from 1. */
export type Origin =
  | { readonly kind: "file"; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "flag"; readonly flag: string };

export interface Problem {
  readonly origin: Origin;
  /** A sentence without its stop: what is wrong, and with what. Never the value of a secret. */
  readonly message: string;
  readonly fix?: string;
}

export class ConfigRefused extends Error {
  override readonly name = "ConfigRefused";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(problemText).join("\n"));
    this.problems = problems;
  }
}

export function problemText(problem: Problem): string {
  const fix = problem.fix === undefined ? "" : `; ${problem.fix}`;
  return `${originText(problem.origin)}: ${problem.message}${fix}`;
}

export function originText(origin: Origin): string {
  switch (origin.kind) {
    case "file":
      return `${origin.file}:${origin.line}:${origin.column}`;
    case "environment":
      return origin.variable;
    case "flag":
      return origin.flag;
  }
}

/** In the order of the file, then of the environment, then of the flags. */
export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  return [...problems].sort((a, b) => {
    if (a.origin.kind === "file" && b.origin.kind === "file")
      return a.origin.line - b.origin.line || a.origin.column - b.origin.column;
    return kindOrder.indexOf(a.origin.kind) - kindOrder.indexOf(b.origin.kind);
  });
}

const kindOrder: readonly Origin["kind"][] = ["file", "environment", "flag"];

/** `did you mean "x"?` when one of the known words is near enough to be a slip of the fingers. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const distanceMax = Math.max(1, Math.floor(word.length / 3));
  const nearest = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return nearest !== undefined && nearest.distance <= distanceMax ? `did you mean "${nearest.candidate}"?` : undefined;
}

/** Insertions, removals, replacements and swaps of neighbours that make one word of the other. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8 || a.length > 100) return Number.POSITIVE_INFINITY; // Bounded: words come from outside.
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] as number) + 1);
      next.push(best);
    }
    before = row;
    row = next;
  }
  return row[b.length] as number;
}

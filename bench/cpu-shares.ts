/** Where a process's threads spend their time, from the profiles that Node leaves behind, by the part of our code that waits for it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Microseconds by part; a sample belongs to the first part that a frame from the innermost outwards names. */
export function cpuShares(directory: string, parts: Readonly<Record<string, RegExp>>): ReadonlyMap<string, number> {
  const shares = new Map<string, number>();
  for (const name of readdirSync(directory).filter((each) => each.endsWith(".cpuprofile"))) {
    const profile = JSON.parse(readFileSync(join(directory, name), "utf8")) as CpuProfile;
    const partOf = partsOf(profile, parts);
    for (const [at, sample] of profile.samples.entries()) {
      const part = partOf.get(sample);
      if (part !== undefined) shares.set(part, (shares.get(part) ?? 0) + (profile.timeDeltas[at] ?? 0));
    }
  }
  return shares;
}

/** Of each node; none of what is idle. */
function partsOf({ nodes }: CpuProfile, parts: Readonly<Record<string, RegExp>>): ReadonlyMap<number, string> {
  const parents = new Map(nodes.flatMap(({ id, children }) => (children ?? []).map((child) => [child, id] as const)));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const found = new Map<number, string>();
  for (const { id, callFrame } of nodes) {
    if (callFrame.functionName === "(idle)") continue;
    let part = callFrame.functionName === "(garbage collector)" ? "garbage" : undefined;
    for (let at: number | undefined = id; at !== undefined && part === undefined; at = parents.get(at)) {
      const url = frames.get(at)?.url ?? "";
      part = Object.keys(parts).find((name) => parts[name]?.test(url));
    }
    found.set(id, part ?? "other");
  }
  return found;
}

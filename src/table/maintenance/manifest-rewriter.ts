/** Writes a table's manifests again, in a REPLACE snapshot of its own: no data file is read, none is added or removed. */
import type { Runtime } from "../../base/runtime.ts";
import { type MergeSettings, mergeSettings } from "../commit/manifest-merge.ts";
import { type ManifestReport, planManifests } from "./manifest-plan.ts";
import type { ReplaceCommitter, RewriteTarget } from "./replace-commit.ts";

export interface ManifestRewriterDeps {
  readonly committer: ReplaceCommitter;
  readonly runtime: Runtime;
  /** As the appends join them. */
  readonly merge: MergeSettings;
  readonly limits: {
    readonly looseManifestsMin: number;
    /** A table without a new snapshot for this long is taken for closed. */
    readonly quietMs: number;
  };
}

/** What the appends join at once, twice: they have not. */
const smallRatio = 2;

export async function rewriteManifests(
  target: RewriteTarget,
  deps: ManifestRewriterDeps,
  signal: AbortSignal,
): Promise<ManifestReport & { readonly held: string }> {
  const outcome = await deps.committer.commit(
    target,
    ({ table: { metadata }, manifests }) => {
      const { bytesTarget, countMin } = mergeSettings(metadata.properties, deps.merge);
      const made = new Map(metadata.snapshots.map((each) => [each["snapshot-id"], each["timestamp-ms"]]));
      const now = deps.runtime.clock.now();
      const plan = planManifests(
        manifests,
        {
          bytesTarget,
          looseMin: deps.limits.looseManifestsMin,
          smallMax: countMin * smallRatio,
          quietMs: deps.limits.quietMs,
        },
        (id) => now - (made.get(id) ?? 0), // A snapshot that is gone has been expired: it was old.
      );
      return plan === undefined ? undefined : { plan, report: plan.report };
    },
    signal,
  );
  if (outcome.kind === "committed") return { ...outcome.report, held: "" };
  return { manifestsIn: 0, manifestsOut: 0, held: outcome.held };
}

/** inlet rebuild: a cluster's metadata again, from its bucket alone. */
import type { Command } from "commander";
import { type Config, loadConfig } from "../config.ts";
import type { Context } from "./context.ts";
import { printJson, timeWords } from "./output.ts";
import { addSettingFlags, configChoice } from "./setting-flags.ts";

export interface RebuildParts {
  rebuild(config: Config, from: string | undefined): Promise<Rebuilt>;
}

export interface Rebuilt {
  readonly clusterId: string;
  /** The newest entry of the lost log that the bucket knew; 0 when it held no copy. */
  readonly recoveredTo: number;
  /** By the clock of the bucket; undefined when it held no copy. */
  readonly writtenMs: number | undefined;
  readonly topics: number;
  readonly partitions: number;
  readonly objects: number;
  /** Newer than the copy: taken in by what they say about themselves. */
  readonly objectsAdopted: number;
  readonly topicsMade: readonly string[];
  /** What is not as it was, in words. */
  readonly losses: readonly string[];
}

export function addRebuildCommand(program: Command, context: Context, parts: RebuildParts): void {
  addSettingFlags(program.command("rebuild"))
    .description("make the metadata log again from the bucket alone; the place where it goes must be empty")
    .option("--from <url>", "the bucket, as object.store.url says it; that of the configuration by default")
    .action(async (options: { readonly from?: string }, command: Command) => {
      const rebuilt = await parts.rebuild(loadConfig(configChoice(command)), options.from);
      if (context.format === "json") printJson(context.terminal, { ...rebuilt, writtenMs: rebuilt.writtenMs ?? null });
      else context.terminal.out(reportOf(rebuilt));
    });
}

function reportOf(rebuilt: Rebuilt): string {
  const { recoveredTo, writtenMs, objectsAdopted } = rebuilt;
  const point =
    writtenMs === undefined
      ? "none: the bucket holds no copy of the metadata, only objects"
      : `entry ${recoveredTo} of the metadata log, written ${timeWords(writtenMs)}`;
  return [
    `cluster         ${rebuilt.clusterId}`,
    `recovery point  ${point}`,
    `topics          ${rebuilt.topics}, ${rebuilt.partitions} partitions`,
    `objects         ${rebuilt.objects}, ${objectsAdopted} of them newer than the copy`,
    ...rebuilt.losses.map((loss) => `not as it was   ${loss}`),
    "",
  ].join("\n");
}

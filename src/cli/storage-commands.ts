/** inlet inspect and inlet verify: what is stored, and whether it is whole. They read, and need no broker. */
import type { Command } from "commander";
import type { Disk } from "../base/disk.ts";
import type { NodeId } from "../base/ids.ts";
import { type Config, loadConfig } from "../config.ts";
import type { MetadataSource } from "../inspect/metadata.ts";
import type { VerifyOptions } from "../inspect/verify.ts";
import type { Context } from "./context.ts";
import { CommandFailed, printJson } from "./output.ts";
import { addSettingFlags, configChoice } from "./setting-flags.ts";
import { count } from "./values.ts";

/** The data of one broker, to be read. */
export interface OfflineStorage extends VerifyOptions, AsyncDisposable {
  readonly disk: Disk;
  readonly node: NodeId;
  /** Of a metadata log in files; undefined when it lives elsewhere. */
  readonly metadataDirectory: string | undefined;
  openLog(): Promise<MetadataSource>;
  /** A broker that is at work on the directory now. */
  readonly brokerPid: number | undefined;
}

export interface StorageParts {
  openStorage(config: Config): Promise<OfflineStorage>;
}

export function addStorageCommands(program: Command, context: Context, parts: StorageParts): void {
  const inspect = program
    .command("inspect")
    .description("show what is stored: WAL, objects, metadata; reads only, with or without a broker");
  const add = (name: string, description: string): Command =>
    addSettingFlags(inspect.command(name)).description(description);
  const reading =
    (work: Read) =>
    (...args: readonly unknown[]) =>
      read(context, parts, args.at(-1) as Command, work);

  add("wal", "the WAL's groups, and where a start would go on")
    .argument("[directory]", "of the WAL; that of the configuration by default")
    .option("--records", "each group's records too")
    .action(
      reading(async (storage, { args, opts }) =>
        (await shows()).inspectWal(context, storage, { directory: args[0], withRecords: opts["records"] === true }),
      ),
    );
  add("object", "one object: who wrote it, its streams, its blocks, whether their checksums hold")
    .argument("<key>", "in the object store, such as objects/…")
    .option("--batches", "each block's batches too")
    .action(
      reading(async (storage, { args, opts }) =>
        (await shows()).inspectObject(context, storage, {
          key: args[0] as string,
          withBatches: opts["batches"] === true,
        }),
      ),
    );
  add("objects", "all objects that the metadata names").action(
    reading(async (storage) => (await shows()).inspectObjects(context, storage)),
  );
  add("index", "the ranges of a partition, and the objects that hold them")
    .argument("<topic>")
    .argument("<partition>", "its number", count)
    .action(
      reading(async (storage, { args }) =>
        (await shows()).inspectIndex(context, storage, args[0] as string, Number(args[1])),
      ),
    );
  add("checkpoint", "what the metadata says in sum").action(
    reading(async (storage) => (await shows()).inspectCheckpoint(context, storage)),
  );
  add("metadata", "the metadata log's entries, an event a line")
    .option("--from <seq>", "the first entry", count, 1)
    .action(
      reading(async (storage, { opts }) => (await shows()).inspectMetadata(context, storage, Number(opts["from"]))),
    );

  addSettingFlags(program.command("verify"))
    .description("prove that what is stored is whole; 1 when it is not, with what is wrong, where, and what to do")
    .requiredOption("--storage", "the WAL, the metadata log and every object, byte by byte")
    .action(
      reading(async (storage) => {
        const { printReport, verified } = await import("./verify.ts");
        const report = await verified(context, storage);
        if (context.format === "json") printJson(context.terminal, report);
        else printReport(context.terminal, report);
        const count = report.problems.length + report.problemsLeftOut;
        if (count > 0) throw new CommandFailed(`${count} ${count === 1 ? "problem" : "problems"} in the storage`);
      }),
    );
}

/** Loaded when a command needs it: the others start without knowing how anything is stored. */
const shows = () => import("./inspect.ts");

interface Said {
  readonly args: readonly (string | undefined)[];
  readonly opts: Readonly<Record<string, unknown>>;
}

type Read = (storage: OfflineStorage, said: Said) => Promise<void>;

async function read(context: Context, parts: StorageParts, command: Command, work: Read): Promise<void> {
  await using storage = await parts.openStorage(loadConfig(configChoice(command)));
  if (storage.brokerPid !== undefined)
    context.terminal.error(
      `inlet: process ${storage.brokerPid} is at work on this data, so it may change while it is read\n`,
    );
  await work(storage, { args: command.args, opts: command.opts() });
}

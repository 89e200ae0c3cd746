/** inlet table plan: what a topic's table would be, from its records as they are. */
import { readFile } from "node:fs/promises";
import { callAdmin } from "./admin-api.ts";
import type { Context } from "./context.ts";
import { CommandFailed, exitCodes, printJson } from "./output.ts";

export const planHelp = `
Records of the topic are translated as its block of the file says, and nothing is written. Without a file: as the broker is
configured. From each partition's beginning on, up to table.sql.tail.bytes.max together.`;

interface Plan {
  readonly ddl: string;
  readonly sample: {
    readonly bytes: number;
    readonly rows: number;
    readonly files: number;
    readonly fileBytes: number;
    readonly partitions: number;
  };
  readonly rejects: readonly {
    readonly reason: string;
    readonly records: number;
    readonly samples: readonly string[];
  }[];
  readonly estimate: Readonly<Record<string, number>> | null;
  readonly warnings: readonly string[];
}

export async function planTopic(context: Context, topic: string, file: string | undefined): Promise<void> {
  const body = file === undefined ? {} : { settings: await blockOf(topic, file) };
  const plan = (await callAdmin(context, "POST", `/v1/tables/${encodeURIComponent(topic)}/plan`, body)) as Plan;
  if (context.format === "json") printJson(context.terminal, plan);
  else printPlan(context, plan);
}

async function blockOf(topic: string, file: string): Promise<unknown> {
  const { parseDocument } = await import("yaml");
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new CommandFailed(`${file} cannot be read`, exitCodes.usage, { cause });
  });
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined)
    throw new CommandFailed(
      `${file}:${error.linePos?.[0].line ?? 1}: ${error.message.split("\n")[0]}`,
      exitCodes.usage,
    );
  const block = (document.toJS() as { readonly topics?: Readonly<Record<string, unknown>> } | null)?.topics?.[topic];
  if (block === undefined) throw new CommandFailed(`${file} has no topic ${topic}`, exitCodes.usage);
  return block ?? {};
}

function printPlan({ terminal }: Context, { ddl, sample, rejects, estimate, warnings }: Plan): void {
  const { rows, bytes, files, fileBytes, partitions } = sample;
  terminal.out(`${ddl};\n\n`);
  terminal.out(
    `${rows} rows from ${bytes} bytes of records: ${fileBytes} bytes in ${files} files, ${partitions} partitions\n`,
  );
  if (rejects.length === 0) terminal.out("no record is rejected\n");
  for (const { reason, records, samples } of rejects)
    terminal.out(`rejected: ${records} for ${reason}\n${samples.map((sample) => `  ${sample}\n`).join("")}`);
  if (estimate === null) terminal.out("the records' timestamps span too little to tell a rate\n");
  else {
    const { recordsPerDay, bytesPerDay, commitsPerDay, filesPerDayLeast, filesPerDayMost } = estimate;
    terminal.out(
      `a day: ${recordsPerDay} records, ${bytesPerDay} bytes, ${commitsPerDay} commits, ${filesPerDayLeast} to ${filesPerDayMost} files\n`,
    );
  }
  for (const warning of warnings) terminal.out(`warning: ${warning}\n`);
}

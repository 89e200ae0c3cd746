/** inlet group list|describe|delete. */
import type { Command } from "commander";
import type { Context } from "./context.ts";
import { withAdmin } from "./kafka.ts";
import { CommandFailed, exitCodes, printJson, printRows } from "./output.ts";

export function addGroupCommands(program: Command, context: Context): void {
  const group = program.command("group").description("list, describe and delete consumer groups");
  group
    .command("list")
    .description("list groups")
    .action(() => listGroups(context));
  group
    .command("describe <group>")
    .description("show members, offsets and lag")
    .action((name: string) => describe(context, name));
  group
    .command("delete <groups...>")
    .description("delete groups that have no members")
    .action((names: string[]) => remove(context, names));
}

async function listGroups(context: Context): Promise<void> {
  const rows = await withAdmin(context, async (admin) => {
    const { groups } = await admin.listGroups();
    if (groups.length === 0) return [];
    const described = await admin.describeGroups(groups.map(({ groupId }) => groupId));
    return described.groups.map(({ groupId, state, members }) => ({ group: groupId, state, members: members.length }));
  });
  printRows(context.terminal, context.format, ["group", "state", "members"], rows);
}

async function describe(context: Context, name: string): Promise<void> {
  const { group, offsets } = await withAdmin(context, async (admin) => {
    const found = (await admin.describeGroups([name])).groups[0];
    const committed = await admin.fetchOffsets({ groupId: name });
    const rows = [];
    for (const { topic, partitions } of committed) {
      const ends = await admin.fetchTopicOffsets(topic);
      for (const { partition, offset } of partitions) {
        if (offset === "-1") continue; // Nothing committed there.
        const end = Number(ends.find((each) => each.partition === partition)?.high ?? offset);
        rows.push({
          topic,
          partition,
          current_offset: Number(offset),
          log_end_offset: end,
          lag: Math.max(0, end - Number(offset)),
        });
      }
    }
    return { group: found, offsets: rows };
  });
  if (group === undefined || (group.state === "Dead" && offsets.length === 0))
    throw new CommandFailed(`GROUP_ID_NOT_FOUND: there is no group ${name}`, exitCodes.missing);
  const members = group.members.map(({ memberId, clientId, clientHost }) => ({
    member: memberId,
    client: clientId,
    host: clientHost,
  }));
  if (context.format === "json") {
    printJson(context.terminal, { group: name, state: group.state, protocol: group.protocol, members, offsets });
    return;
  }
  const lag = offsets.reduce((sum, each) => sum + each.lag, 0);
  context.terminal.out(`GROUP    ${name}\nSTATE    ${group.state}\nMEMBERS  ${members.length}\nLAG      ${lag}\n\n`);
  printRows(context.terminal, "text", ["topic", "partition", "current_offset", "log_end_offset", "lag"], offsets);
  if (members.length === 0) return;
  context.terminal.out("\n");
  printRows(context.terminal, "text", ["member", "client", "host"], members);
}

async function remove(context: Context, names: readonly string[]): Promise<void> {
  await withAdmin(context, (admin) => admin.deleteGroups([...names]));
  printRows(
    context.terminal,
    context.format,
    ["group", "status"],
    names.map((group) => ({ group, status: "OK" })),
  );
}

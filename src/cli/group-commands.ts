/** inlet group list|describe|delete. */
import type { Command } from "commander";
import type { Context } from "./context.ts";
import { oneByOne, withAdmin } from "./kafka.ts";
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

/** What DescribeGroups says of groups that are listed and are not of the classic protocol: it knows nothing of them. */
const ofOtherProtocol = "Dead";

/** Who shows such groups, by the type of their protocol. */
const toolsOf: Readonly<Record<string, string>> = { share: "kafka-share-groups", streams: "kafka-streams-groups" };

async function listGroups(context: Context): Promise<void> {
  const rows = await withAdmin(context, async (admin) => {
    const { groups } = await admin.listGroups();
    if (groups.length === 0) return [];
    const described = await admin.describeGroups(groups.map(({ groupId }) => groupId));
    return described.groups.map(({ groupId, state, members }) =>
      state === ofOtherProtocol
        ? { group: groupId, state: null, members: null }
        : { group: groupId, state, members: members.length },
    );
  });
  printRows(context.terminal, context.format, ["group", "state", "members"], rows);
}

async function describe(context: Context, name: string): Promise<void> {
  const { group, listed, offsets } = await withAdmin(context, async (admin) => {
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
    const isOther = found === undefined || found.state === ofOtherProtocol;
    const listed = isOther ? (await admin.listGroups()).groups.find(({ groupId }) => groupId === name) : undefined;
    return { group: isOther ? undefined : found, listed, offsets: rows };
  });
  if (group === undefined && listed === undefined)
    throw new CommandFailed(`GROUP_ID_NOT_FOUND: there is no group ${name}`, exitCodes.missing);
  const members = group?.members.map(({ memberId, clientId, clientHost }) => ({
    member: memberId,
    client: clientId,
    host: clientHost,
  }));
  if (context.format === "json") {
    const { state = null, protocol = null } = group ?? {};
    printJson(context.terminal, { group: name, state, protocol, members: members ?? null, offsets });
  } else {
    const lag = offsets.reduce((sum, each) => sum + each.lag, 0);
    const [state, count] = [group?.state ?? "-", members?.length ?? "-"];
    context.terminal.out(`GROUP    ${name}\nSTATE    ${state}\nMEMBERS  ${count}\nLAG      ${lag}\n\n`);
    printRows(context.terminal, "text", ["topic", "partition", "current_offset", "log_end_offset", "lag"], offsets);
    if (members !== undefined && members.length > 0) {
      context.terminal.out("\n");
      printRows(context.terminal, "text", ["member", "client", "host"], members);
    }
  }
  if (listed === undefined) return;
  const tool = toolsOf[listed.protocolType] ?? "kafka-consumer-groups";
  context.terminal.error(`inlet: group ${name} is not of the classic protocol: Kafka's ${tool} shows its members\n`);
}

async function remove(context: Context, names: readonly string[]): Promise<void> {
  await oneByOne(context, "group", names, async (admin, name) => {
    await admin.deleteGroups([name]);
    return undefined;
  });
}

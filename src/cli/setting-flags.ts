/** One flag a setting, for the commands that read the configuration. */
import { type Command, Option } from "commander";
import { flagOf, settingRows } from "../config/file-shape.ts";

export interface ConfigChoice {
  readonly file: string | undefined;
  readonly flags: ReadonlyMap<string, string>;
}

export function addSettingFlags(command: Command): Command {
  command.option("-c, --config <file>", "YAML file (default: INLET_CONFIG, else ./inlet.yaml when it is there)");
  for (const [, setting] of settingRows)
    command.addOption(new Option(`${flagOf(setting)} <${setting.type}>`, setting.doc).helpGroup("Settings:"));
  return command;
}

/** What was said on the command line. */
export function configChoice(command: Command): ConfigChoice {
  const values = command.opts<Readonly<Record<string, string | undefined>>>();
  const flags = new Map<string, string>();
  for (const [, setting] of settingRows) {
    const flag = flagOf(setting);
    const value = values[new Option(`${flag} <value>`).attributeName()];
    if (value !== undefined) flags.set(flag, value);
  }
  return { file: values["config"], flags };
}

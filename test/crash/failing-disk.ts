/**
 * Loaded into a broker's process before it (`--import`): writes fail as the file named by INLET_TEST_FAULTS says, for as long as
 * it says so. A line is a code and a part of the paths that it is for: `EIO /wal/`. Linux: paths come from /proc.
 */
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

const faults = process.env["INLET_TEST_FAULTS"] ?? "";
const handle = await open(process.execPath);
const prototype = Object.getPrototypeOf(handle) as Pick<FileHandle, "writev">;
await handle.close();
const writev = prototype.writev;

prototype.writev = async function (this: FileHandle, ...args: Parameters<FileHandle["writev"]>) {
  const path = readlinkSync(`/proc/self/fd/${this.fd}`);
  const lines = existsSync(faults) ? readFileSync(faults, "utf8").split("\n") : [];
  for (const [code = "", part = ""] of lines.map((line) => line.split(" "))) {
    if (part !== "" && path.includes(part)) throw Object.assign(new Error(`${code}: planted`), { code });
  }
  return await writev.apply(this, args);
} as FileHandle["writev"];

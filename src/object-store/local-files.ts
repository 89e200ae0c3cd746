/** What the ways of writing a file of a directory store have in common. */
import { type DiskFile, diskErrorCode } from "../base/disk.ts";
import type { Happened } from "../base/errors.ts";
import { StoreFailed } from "./object-store.ts";

/** An object on its way: durable under a name that nobody looks at. */
export interface Staged {
  readonly path: string;
  readonly bytes: number;
  readonly etag: string;
}

/** Size and modification time. */
export async function etagOf(file: DiskFile): Promise<string> {
  return `"${(await file.size()).toString(16)}-${(await file.modifiedMs()).toString(16)}"`;
}

const permanentCodes = ["EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR", "EEXIST", "ENAMETOOLONG"];

/** Errors of the disk become the store's. */
export async function attempt<T>(what: string, happened: Happened, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = diskErrorCode(cause);
    if (code === undefined) throw cause;
    throw new StoreFailed(`cannot ${what}: ${code}`, { happened, retriable: !permanentCodes.includes(code), cause });
  }
}

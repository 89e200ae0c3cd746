/** The file operations that durable code uses, so that a simulation can lose what was not synced. */

export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Names in the directory, sorted; [] when it does not exist. */
  list(directory: string): Promise<readonly DirectoryEntry[]>;
  /** With parents, durable when it resolves. No error when it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Replaces the target atomically. Durable only after syncDirectory. */
  rename(from: string, to: string): Promise<void>;
  /** A hard link: fails with code EEXIST when the target exists. The atomic put-if-absent of a directory store. */
  link(from: string, to: string): Promise<void>;
  /** No error when it does not exist. */
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(path: string): Promise<void>;
}

/**
 * "create" fails when the file exists; "write" opens an existing file for reading and writing. "durable" is "write" whose
 * writes are durable when they resolve: one request to the kernel, where a write and a sync are two.
 */
export type OpenMode = "read" | "write" | "durable" | "create";

export interface DirectoryEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

export interface DiskFile extends AsyncDisposable {
  /**
   * Reads up to `into.length` bytes at the position; returns how many were read, less only at the end of the file. `into` may be
   * part of a `room`, of which anything may be written then.
   */
  read(into: Uint8Array, position: number, room?: Uint8Array): Promise<number>;
  /** Writes all views one after another at the position. Durable only after datasync, unless opened as "durable". */
  write(views: readonly Uint8Array[], position: number): Promise<void>;
  /** Makes written bytes durable. After an error the file must not be written again: what it lost is unknown. */
  datasync(): Promise<void>;
  /** Current length in bytes. */
  size(): Promise<number>;
  /** Grows the file with zeros, or cuts it, to this length. */
  truncate(length: number): Promise<void>;
  /** Modification time, milliseconds since the epoch. */
  modifiedMs(): Promise<number>;
}

/** The operating system's name for what went wrong ("ENOENT", "EEXIST", "EIO"), if the error carries one. */
export function diskErrorCode(cause: unknown): string | undefined {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/**
 * Files that stay open between reads: an object is read in many parts, and opening and closing it costs as much as reading a
 * part. The least recently used is closed when there are too many, once nobody reads it any more.
 */
import type { Disk, DiskFile } from "../base/disk.ts";

interface OpenFile {
  readonly file: Promise<DiskFile>;
  readers: number;
  /** Closed by its last reader. */
  isDropped: boolean;
}

export class OpenFiles implements AsyncDisposable {
  readonly #disk: Disk;
  readonly #filesMax: number;
  /** In order of last use. */
  readonly #files = new Map<string, OpenFile>();

  constructor(options: { readonly disk: Disk; readonly filesMax: number }) {
    this.#disk = options.disk;
    this.#filesMax = options.filesMax;
  }

  async read<T>(path: string, use: (file: DiskFile) => Promise<T>): Promise<T> {
    const open = this.#open(path);
    open.readers += 1;
    try {
      return await use(await open.file);
    } finally {
      open.readers -= 1;
      if (open.isDropped && open.readers === 0) await close(open);
    }
  }

  /** The name means another file now, or none. */
  async drop(path: string): Promise<void> {
    const open = this.#files.get(path);
    if (open === undefined) return;
    this.#files.delete(path);
    open.isDropped = true;
    if (open.readers === 0) await close(open);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#files.keys()) await this.drop(path);
  }

  #open(path: string): OpenFile {
    const found = this.#files.get(path) ?? this.#opened(path);
    this.#files.delete(path);
    this.#files.set(path, found);
    return found;
  }

  #opened(path: string): OpenFile {
    const open: OpenFile = { file: this.#disk.open(path, "read"), readers: 0, isDropped: false };
    open.file.catch(() => {
      if (this.#files.get(path) === open) this.#files.delete(path); // Its reader sees why; the next one tries again.
    });
    const [oldest] = this.#files.keys();
    // A failure to close it is nobody's: it was only read.
    if (oldest !== undefined && this.#files.size >= this.#filesMax) this.drop(oldest).catch(() => undefined);
    return open;
  }
}

async function close(open: OpenFile): Promise<void> {
  const file = await open.file.catch(() => undefined);
  await file?.[Symbol.asyncDispose]();
}

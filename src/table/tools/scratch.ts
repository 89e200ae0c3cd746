/** Copies of a table's files on the local disk, for a reader that wants a path. What a crash left goes at the next start. */
import { join } from "node:path";
import type { Disk } from "../../base/disk.ts";
import { uuidRandom } from "../../base/ids.ts";
import type { Random } from "../../base/runtime.ts";
import type { Warehouse } from "../warehouse.ts";

/** Read and written at once: what a copy needs of memory. */
const pieceBytes = 8 * 1024 * 1024;

export interface ScratchFile extends AsyncDisposable {
  readonly path: string;
}

export class Scratch {
  readonly #disk: Disk;
  /** Nobody else's. */
  readonly #directory: string;
  readonly #random: Random;
  #ready: Promise<void> | undefined;

  constructor(options: { readonly disk: Disk; readonly directory: string; readonly random: Random }) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#random = options.random;
  }

  async copy(warehouse: Warehouse, file: { readonly path: string; readonly bytes: number }): Promise<ScratchFile> {
    const copy = await this.#file();
    try {
      await using out = await this.#disk.open(copy.path, "create");
      for (let at = 0; at < file.bytes; at += pieceBytes) {
        const range = { start: at, end: Math.min(file.bytes, at + pieceBytes) };
        await out.write([await warehouse.readRange(file.path, range)], at);
      }
      return copy;
    } catch (cause) {
      await copy[Symbol.asyncDispose]();
      throw cause;
    }
  }

  async write(bytes: Uint8Array): Promise<ScratchFile> {
    const copy = await this.#file();
    await using out = await this.#disk.open(copy.path, "create");
    await out.write([bytes], 0);
    return copy;
  }

  async #file(): Promise<ScratchFile> {
    this.#ready ??= this.#clear();
    await this.#ready;
    const path = join(this.#directory, `${uuidRandom(this.#random)}.parquet`);
    return { path, [Symbol.asyncDispose]: () => this.#disk.remove(path) };
  }

  async #clear(): Promise<void> {
    await this.#disk.makeDirectory(this.#directory);
    for (const { name } of await this.#disk.list(this.#directory)) await this.#disk.remove(join(this.#directory, name));
  }
}

/**
 * A multipart upload into one file, so that bytes are written once: a part's place is where the parts called before it end.
 *
 *   called   1, 2, 3, then 2 again as it had failed        2, 1: or a part again, of another size
 *   file     | 1 | 2 | 3 |                                 | 2 | 1 |   copied into order when the upload is completed
 */
import type { Disk, DiskFile } from "../base/disk.ts";
import { assert } from "../base/errors.ts";
import { bodyBytes, viewsOf } from "./body.ts";
import { attempt, etagOf, type Staged } from "./local-files.ts";
import { type Body, type MultipartUpload, StoreFailed } from "./object-store.ts";

export interface LocalUploadOptions {
  readonly key: string;
  readonly disk: Disk;
  /** Of a new file where nobody looks. */
  readonly temporaryPath: () => string;
  /** Gives the finished file the object's name. */
  readonly publish: (staged: Staged) => Promise<{ readonly etag: string }>;
}

interface Place {
  readonly position: number;
  readonly bytes: number;
}

export async function beginLocalUpload(options: LocalUploadOptions): Promise<MultipartUpload> {
  const path = options.temporaryPath();
  const file = await attempt(`begin ${options.key}`, "no", () => options.disk.open(path, "create"));
  return new LocalUpload(options, path, file);
}

class LocalUpload implements MultipartUpload {
  readonly #options: LocalUploadOptions;
  readonly #path: string;
  readonly #file: DiskFile;
  /** By number - 1. */
  readonly #places: Place[] = [];
  #called = 0;
  #end = 0;
  #state: "open" | "spoiled" | "closed" = "open";

  constructor(options: LocalUploadOptions, path: string, file: DiskFile) {
    this.#options = options;
    this.#path = path;
    this.#file = file;
  }

  async part(body: Body, number = this.#called + 1): Promise<void> {
    this.#called += 1;
    const place = this.#placeFor(number, bodyBytes(body)); // Before any await: the order of calls is the order in the file.
    await attempt(`write a part of ${this.#options.key}`, "no", () => this.#file.write(viewsOf(body), place.position));
    await this.#sync(this.#file);
  }

  async complete(): Promise<{ readonly etag: string }> {
    assert(this.#places.length > 0, "an upload has at least one part");
    this.#refuseWhenSpoiled();
    const staged = this.#isInOrder()
      ? { path: this.#path, bytes: this.#end, etag: await etagOf(this.#file) }
      : await attempt(`join the parts of ${this.#options.key}`, "no", () => this.#inOrder());
    const published = await this.#options.publish(staged);
    await this.abort();
    return published;
  }

  async abort(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    await this.#file[Symbol.asyncDispose]();
    await this.#options.disk.remove(this.#path); // Not there any more when it has become the object.
  }

  #placeFor(number: number, bytes: number): Place {
    const present = this.#places[number - 1];
    if (present?.bytes === bytes) return present;
    const place = { position: this.#end, bytes };
    this.#places[number - 1] = place;
    this.#end += bytes;
    return place;
  }

  #isInOrder(): boolean {
    let end = 0;
    for (const { position, bytes } of this.#places) {
      if (position !== end) return false;
      end += bytes;
    }
    return end === this.#end;
  }

  async #inOrder(): Promise<Staged> {
    const { disk, temporaryPath } = this.#options;
    const path = temporaryPath();
    await using whole = await disk.open(path, "create");
    let end = 0;
    for (const { position, bytes } of this.#places) {
      const copied = new Uint8Array(bytes);
      await this.#file.read(copied, position);
      await whole.write([copied], end);
      end += bytes;
    }
    await whole.datasync();
    return { path, bytes: end, etag: await etagOf(whole) };
  }

  /** What a failed sync has lost, of other parts too, no later one brings back: the upload must begin anew. */
  async #sync(file: DiskFile): Promise<void> {
    try {
      await file.datasync();
    } catch (cause) {
      this.#state = "spoiled";
      const message = `cannot sync a part of ${this.#options.key}`;
      throw new StoreFailed(message, { happened: "no", retriable: false, cause });
    }
    this.#refuseWhenSpoiled(); // Linux tells one of those who sync at the same time.
  }

  #refuseWhenSpoiled(): void {
    if (this.#state !== "spoiled") return;
    throw new StoreFailed(`a part of ${this.#options.key} was lost`, { happened: "no", retriable: false });
  }
}

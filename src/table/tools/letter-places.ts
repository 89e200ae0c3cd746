/** Where a table's dead letters stand in its topic, read from their table: each file once. */
import { OperationFailed } from "../../base/errors.ts";
import type { TableInfo } from "../../metadata/image.ts";
import type { Catalog } from "../catalog.ts";
import { entriesOf, manifestsOf } from "../commit/table-files.ts";
import type { TableSettings } from "../settings.ts";
import { deadLetterName } from "../table-state.ts";
import { lettersOf } from "../translate/letter-rows.ts";
import type { Warehouse } from "../warehouse.ts";
import { OffsetSet } from "./replayed.ts";

export interface LetterPlacesDeps {
  readonly catalog: Catalog;
  readonly warehouse: Warehouse;
  readonly settings: TableSettings;
}

export class LetterPlaces {
  readonly #deps: LetterPlacesDeps;
  readonly #read = new Set<string>();
  #places = new OffsetSet();

  constructor(deps: LetterPlacesDeps) {
    this.#deps = deps;
  }

  /** All that are committed by now. */
  async now(table: TableInfo): Promise<OffsetSet> {
    const { warehouse, settings } = this.#deps;
    for (const path of await letterFiles(table, this.#deps)) {
      if (this.#read.has(path)) continue;
      for (const letters of lettersOf(await warehouse.read(path), path))
        this.#places = this.#places.with(letters.filter(({ topic }) => topic === settings.topic));
      this.#read.add(path);
    }
    return this.#places;
  }
}

/** Files of the letters of a table's generation. */
export async function letterFiles(
  table: TableInfo,
  { catalog, warehouse, settings }: LetterPlacesDeps,
): Promise<readonly string[]> {
  const loaded = await catalog.load(deadLetterName(settings, table.generation));
  if (loaded === undefined) return [];
  const { metadata } = loaded;
  const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]);
  const files: string[] = [];
  for (const manifest of await manifestsOf(warehouse, snapshot)) {
    for (const entry of await entriesOf(warehouse, manifest, metadata)) {
      if (entry.status === "deleted") continue;
      // Somebody has taken letters out, and these files still hold them.
      if (entry.content !== "data")
        throw new OperationFailed("files of deletes are in force in the table of dead letters", { happened: "no" });
      files.push(entry.file.path);
    }
  }
  return files;
}

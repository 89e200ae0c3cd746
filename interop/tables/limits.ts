/** What engines cannot do, each with the engine's own words: a test asks for them, so that a newer engine is noticed. */
import type { EngineName } from "./engines.ts";
import type { WriteMode } from "./formats.ts";
import type { CatalogName } from "./lake.ts";

export interface Refusal {
  readonly engine: EngineName;
  readonly isOf: (cell: { readonly write: WriteMode; readonly catalog: CatalogName }) => boolean;
  /** As people say it. */
  readonly what: string;
  readonly error: RegExp;
}

const refusals: readonly Refusal[] = [
  {
    engine: "PyIceberg",
    isOf: ({ write }) => write !== "append",
    what: "tables with equality deletes that are not resolved yet",
    error: /PyIceberg does not yet support equality deletes/,
  },
];

export function refusalOf(cell: {
  readonly engine: EngineName;
  readonly write: WriteMode;
  readonly catalog: CatalogName;
}): Refusal | undefined {
  return refusals.find(({ engine, isOf }) => engine === cell.engine && isOf(cell));
}

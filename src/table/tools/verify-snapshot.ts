/** What verifications of either kind ask of a table first: its mark, and where its rows say that they come from. */
import { OperationFailed } from "../../base/errors.ts";
import type { PlaceColumns } from "../commit/live-files.ts";
import { ancestryOf } from "../commit/settle.ts";
import { currentSchema } from "../commit/table-creation.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import { type CommitMark, markName, parseMark } from "../rounds.ts";
import type { Warehouse } from "../warehouse.ts";
import type { Finding } from "./verify-report.ts";

const findingsMax = 200;

export class Findings {
  readonly all: Finding[] = [];
  leftOut = 0;

  add(finding: Finding): void {
    if (this.all.length < findingsMax) this.all.push(finding);
    else this.leftOut += 1;
  }
}

/** Our newest mark on the way to `main`; undefined when there is none to be found. */
export async function markOf(
  metadata: TableMetadata,
  warehouse: Warehouse,
  findings: Findings,
): Promise<CommitMark | undefined> {
  const ancestry = ancestryOf(metadata);
  switch (ancestry.kind) {
    case "mark":
      return await withOffsets(ancestry.mark, warehouse);
    case "whole":
      if (metadata["current-snapshot-id"] !== -1n) notOurs(findings, "no snapshot on the way to main is ours");
      return undefined;
    case "unreadable":
      notOurs(findings, `the mark of snapshot ${ancestry.snapshot} cannot be read`);
      return undefined;
    case "cut": {
      // Somebody expired our snapshots: the property says what they held.
      const text = metadata.properties[markName];
      const mark = text === undefined ? undefined : parseMark(text);
      if (mark === undefined) notOurs(findings, "the history is cut, and the table's property holds no mark");
      return mark === undefined ? undefined : await withOffsets(mark, warehouse);
    }
  }
}

function notOurs(findings: Findings, detail: string): void {
  findings.add({ kind: "not-ours", where: "main", detail, sample: [] });
}

async function withOffsets(mark: CommitMark, warehouse: Warehouse): Promise<CommitMark> {
  if (typeof mark.offsets !== "string") return mark;
  return parseMark(await warehouse.readText(mark.offsets)) ?? mark;
}

export function requirePlace(
  metadata: TableMetadata,
  { place, name }: { readonly place: PlaceColumns; readonly name: { readonly name: string } },
): void {
  const ids = new Set(currentSchema(metadata).fields.map(({ id }) => id));
  if (ids.has(place.offset) && ids.has(place.partition)) return;
  throw new OperationFailed(`${name.name} has lost its columns of partition and offset: nothing can be proven of it`, {
    happened: "no",
  });
}

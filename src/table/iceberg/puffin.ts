/**
 * Puffin files, as far as they hold deletion vectors (Puffin spec): blobs, and a footer that says what each is. Manifests
 * name a vector by its place, so that readers of a table need not read the footer; ours agrees with them (rule H5).
 *
 *   PFA1 │ vector │ vector │ ... │ PFA1 │ footer, JSON │ its length u32, little-endian │ flags u32 = 0 │ PFA1
 *        └ 4, the first vector's offset
 */
import { renderJson } from "./json.ts";
import type { VectorPlace } from "./manifest.ts";

export interface VectorBlob {
  readonly dataFile: string;
  /** Rows that are deleted. */
  readonly cardinality: number;
  readonly bytes: Uint8Array;
}

const magic = Buffer.from("PFA1", "latin1");

/** Reserved id of a row's number in its file: what a vector is computed for. */
const rowNumberId = 2147483645;

export function writePuffin(
  blobs: readonly VectorBlob[],
  createdBy: string,
): { readonly bytes: Uint8Array; readonly places: readonly VectorPlace[] } {
  const places: VectorPlace[] = [];
  let offset = magic.length;
  for (const { bytes } of blobs) {
    places.push({ offset, bytes: bytes.length });
    offset += bytes.length;
  }
  const footer = Buffer.from(footerOf(blobs, places, createdBy), "utf8");
  const tail = Buffer.alloc(8); // Length and flags.
  tail.writeInt32LE(footer.length);
  return { bytes: Buffer.concat([magic, ...blobs.map(({ bytes }) => bytes), magic, footer, tail, magic]), places };
}

/** Snapshot and sequence number are not known yet: -1, as the spec wants. */
function footerOf(blobs: readonly VectorBlob[], places: readonly VectorPlace[], createdBy: string): string {
  return renderJson({
    blobs: blobs.map(({ dataFile, cardinality }, index) => ({
      type: "deletion-vector-v1",
      fields: [rowNumberId],
      "snapshot-id": -1,
      "sequence-number": -1,
      offset: places[index]?.offset,
      length: places[index]?.bytes,
      properties: { "referenced-data-file": dataFile, cardinality: String(cardinality) },
    })),
    properties: { "created-by": createdBy },
  });
}

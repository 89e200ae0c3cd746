/** A feature of the cluster (KIP-584). Its level is a fact of the metadata once somebody has set it, so that nodes of two
 *  releases agree on it; before that it is what this release says. */
import type { Image } from "../../metadata/image.ts";

export interface Feature {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Until somebody sets another. 0: off, and not spoken of. */
  readonly level: number;
  /** Further levels that UpdateFeatures may choose: those at which this release behaves as they say. */
  readonly others?: readonly number[];
}

export function featureLevel(image: Pick<Image, "fact">, { name, level }: Feature): number {
  const fact = image.fact("features", name);
  return fact === undefined ? level : Number(fact);
}

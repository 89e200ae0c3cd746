/** Whether the URLs of stores can be read. Pure: nothing is opened. What is said of them repeats no key. */
import type { Settings } from "../../schemas/config.ts";
import { StoreFailed } from "../object-store/object-store.ts";
import { parseStoreUrl } from "../object-store/store-url.ts";
import type { Problem } from "./problem.ts";
import { locate, type Tree } from "./tree.ts";

const bucketUrl = /^(s3|gs|az|abfss):/;

export function checkStores(
  { objectStoreUrl, catalogWarehouse, metadataUrl }: Settings,
  tree: Tree,
): readonly Problem[] {
  return [
    ...problemsOf(objectStoreUrl, ["object", "store", "url"], tree),
    ...problemsOf(catalogWarehouse, ["catalog", "warehouse"], tree),
    ...(bucketUrl.test(metadataUrl) ? problemsOf(metadataUrl, ["metadata", "url"], tree) : schemeOf(metadataUrl, tree)),
  ];
}

function problemsOf(url: string, path: readonly string[], tree: Tree): readonly Problem[] {
  if (url === "") return [];
  try {
    parseStoreUrl(url);
    return [];
  } catch (cause) {
    if (!(cause instanceof StoreFailed)) throw cause;
    return [{ origin: locate(tree, path), message: `${path.join(".")}: ${cause.message}` }];
  }
}

function schemeOf(metadataUrl: string, tree: Tree): readonly Problem[] {
  const scheme = /^[a-z][a-z0-9+.-]+:/i.exec(metadataUrl)?.[0];
  if (scheme === undefined || /^(postgres(ql)?|file):$/.test(scheme)) return [];
  const message = `metadata.url is postgres://.., a bucket's URL, "bucket" or a directory; it begins with ${scheme}`;
  return [{ origin: locate(tree, ["metadata", "url"]), message }];
}

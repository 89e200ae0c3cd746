/** Where a broker, and inlet rebuild, find the objects and the metadata log. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Settings } from "../schemas/config.ts";
import type { MetadataLogDeps } from "./metadata/open.ts";

export function storeUrlOf(settings: Settings): string {
  return settings.objectStoreUrl || pathToFileURL(join(settings.dataDirectory, "objects")).href;
}

/** Whether the store is our own code: that keeps its word is proved by its tests, not at every start. */
export function isOwnStore(url: string): boolean {
  return url.startsWith("file:") || url.startsWith("memory:");
}

export function metadataLogDeps({
  settings,
  ...parts
}: { readonly settings: Settings } & Pick<MetadataLogDeps, "store" | "storeDeps" | "logger">): MetadataLogDeps {
  return {
    ...parts,
    url: settings.metadataUrl,
    directory: join(settings.dataDirectory, "metadata"),
    segmentBytesMax: settings.metadataSegmentBytesMax,
    requestMsMax: settings.metadataRequestMsMax,
  };
}

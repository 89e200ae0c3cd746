/**
 * The property of the metadata in which the registry notes a version's number, when a client has asked for a version of its
 * own: the same text may then stand in several versions. Clients that leave the property out mean any of them.
 */
import type { Metadata } from "./data-contract.ts";

const property = "confluent:version";

export function confluentVersion(metadata: Metadata | undefined): string | undefined {
  return metadata?.properties?.[property];
}

export function withConfluentVersion(metadata: Metadata | undefined, version: number): Metadata {
  const properties = { ...metadata?.properties, [property]: String(version) };
  const sorted = Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...metadata, properties: Object.fromEntries(sorted) };
}

/** Without what is empty then: a client that says no metadata and one that says empty ones mean the same. */
export function withoutConfluentVersion({ tags, properties, sensitive }: Metadata): Metadata {
  const { [property]: _version, ...others } = properties ?? {};
  return {
    ...(Object.keys(tags ?? {}).length === 0 ? {} : { tags }),
    ...(Object.keys(others).length === 0 ? {} : { properties: others }),
    ...((sensitive ?? []).length === 0 ? {} : { sensitive }),
  };
}

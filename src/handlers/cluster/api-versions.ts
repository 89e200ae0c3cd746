/** ApiVersions: what is served, and which features are on. A version that is not spoken never comes here: the connection
 *  answers it in version 0 by itself (KIP-511). */
import type { MetadataClient } from "../../metadata/client.ts";
import { type ApiName, advertised, type RequestOf, type ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler } from "../handler.ts";
import { type Feature, featureLevel } from "./feature-level.ts";

export interface ApiVersionsOptions {
  readonly metadata: Pick<MetadataClient, "image">;
  /** What has a handler. */
  readonly served: () => Iterable<ApiName>;
}

/**
 * metadata.version is what tools take for "the Kafka version": 30 is 4.3, whose request versions these are, and 7 is the oldest that
 * Kafka 4 knows. The others are turned on with what they stand for: group.version 1 with KIP-848, transaction.version 2 with
 * KIP-890, share.version 1 with KIP-932, streams.version 1 with KIP-1071. eligible.leader.replicas.version 1 (KIP-966) costs
 * nothing: every replica reaches the same objects, so none is ever left behind to be eligible.
 */
export const features: readonly Feature[] = [
  { name: "metadata.version", min: 7, max: 30, level: 30 },
  { name: "share.version", min: 0, max: 1, level: 1 },
  { name: "streams.version", min: 0, max: 1, level: 1 },
  { name: "eligible.leader.replicas.version", min: 0, max: 1, level: 1 },
  { name: "group.version", min: 0, max: 1, level: 1 },
  // Voters are not fixed by a configuration: nodes become them by registering, see quorum.ts.
  { name: "kraft.version", min: 0, max: 1, level: 1 },
  { name: "transaction.version", min: 0, max: 2, level: 2 },
];

const softwareName = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;
/** The first with the client's name and version. */
const versionWithSoftware = 3;
/** Until this version clients fail on a feature that may be 0. */
const versionWithZeroFeatures = 4;

export function apiVersionsHandler(
  options: ApiVersionsOptions,
): Handler<RequestOf<"apiVersions">, ResponseInputOf<"apiVersions">> {
  return async (request, { apiVersion }) => {
    const isNamed = softwareName.test(request.clientSoftwareName) && softwareName.test(request.clientSoftwareVersion);
    if (apiVersion >= versionWithSoftware && !isNamed) return { errorCode: code("INVALID_REQUEST"), apiKeys: [] };
    const finalized = features
      .map((feature) => ({ name: feature.name, level: featureLevel(options.metadata.image, feature) }))
      .filter(({ level }) => level > 0);
    return {
      errorCode: 0,
      apiKeys: advertised(options.served()),
      supportedFeatures: features
        .filter(({ min }) => min > 0 || apiVersion >= versionWithZeroFeatures)
        .map(({ name, min, max }) => ({ name, minVersion: min, maxVersion: max })),
      finalizedFeaturesEpoch: options.metadata.image.seq,
      finalizedFeatures: finalized.map(({ name, level }) => ({
        name,
        maxVersionLevel: level,
        minVersionLevel: level,
      })),
    };
  };
}

/** What the broker speaks. */
import { array, boolean, int16, int32, int64, message, since, string, struct, tagged } from "../../src/base/codec.ts";

export const apiVersionsRequest = message({
  name: "ApiVersionsRequest",
  versions: [0, 4],
  flexible: 3,
  fields: {
    clientSoftwareName: since(3, string, ""),
    clientSoftwareVersion: since(3, string, ""),
  },
});

export const apiVersionsResponse = message({
  name: "ApiVersionsResponse",
  versions: [0, 4],
  flexible: 3,
  fields: {
    errorCode: int16,
    apiKeys: array(
      struct({
        apiKey: int16,
        minVersion: int16,
        maxVersion: int16,
      }),
    ),
    throttleTimeMs: since(1, int32, 0),
    supportedFeatures: tagged(
      0,
      3,
      array(
        struct({
          name: string,
          minVersion: int16,
          maxVersion: int16,
        }),
      ),
      [],
    ),
    finalizedFeaturesEpoch: tagged(1, 3, int64, -1),
    finalizedFeatures: tagged(
      2,
      3,
      array(
        struct({
          name: string,
          maxVersionLevel: int16,
          minVersionLevel: int16,
        }),
      ),
      [],
    ),
    zkMigrationReady: tagged(3, 3, boolean, false),
  },
});

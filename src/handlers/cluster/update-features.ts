/** UpdateFeatures: all of the updates that it names, or none of them. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { Lane } from "../../base/async.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Image } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";
import { features } from "./api-versions.ts";
import { featureLevel } from "./feature-level.ts";

/** Numbers are those of the request. */
const upgradeTypes = { upgrade: 1, safeDowngrade: 2, unsafeDowngrade: 3 } as const;

type Request = RequestOf<"updateFeatures">;
type Response = ResponseInputOf<"updateFeatures">;
type Update = Request["featureUpdates"][number];

interface Problem {
  readonly error: ErrorName;
  readonly message: string;
}

export function updateFeaturesHandler(options: {
  readonly metadata: Pick<MetadataClient, "image" | "propose">;
}): Handler<Request, Response> {
  const lane = new Lane(); // An update is checked and proposed before the next one is checked.
  return (request, { apiVersion }) => lane.run(() => updateFeatures(options.metadata, request, apiVersion));
}

async function updateFeatures(
  metadata: Pick<MetadataClient, "image" | "propose">,
  { featureUpdates, validateOnly }: Request,
  apiVersion: number,
): Promise<Response> {
  const seen = new Set<string>();
  const checked = featureUpdates.map((update) => {
    const isTwice = seen.has(update.feature);
    seen.add(update.feature);
    const problem: Problem | undefined = isTwice
      ? { error: "INVALID_REQUEST", message: `The feature ${update.feature} is named more than once.` }
      : updateProblem(metadata.image, update, apiVersion);
    return problem;
  });
  const refused = checked.find((problem) => problem !== undefined);
  if (refused !== undefined) return allRefused(refused);
  if (!validateOnly) {
    const facts = featureUpdates
      .filter(({ feature, maxVersionLevel }) => maxVersionLevel !== levelByName(metadata.image, feature))
      .map(({ feature, maxVersionLevel }) => ({
        table: "features" as const,
        key: feature,
        value: String(maxVersionLevel),
      }));
    const proposal = facts.length === 0 ? undefined : await metadata.propose([{ kind: "set-facts", facts }]);
    if (proposal?.kind === "refused") {
      return allRefused({ error: "FEATURE_UPDATE_FAILED", message: "This broker was replaced." });
    }
  }
  const results = featureUpdates.map(({ feature }) => ({ feature, errorCode: 0, errorMessage: null }));
  return { errorCode: 0, errorMessage: null, results };
}

/** All of them or none. */
function allRefused(first: Problem): Response {
  const message =
    first.error === "INVALID_UPDATE_VERSION"
      ? `The update failed for all features since the following feature had an error: ${first.message}`
      : first.message;
  return {
    errorCode: code(first.error),
    errorMessage: clipped(message),
    results: [],
  };
}

function updateProblem(image: Image, update: Update, apiVersion: number): Problem | undefined {
  const { feature: name, maxVersionLevel: level } = update;
  const refused = (because: string): Problem => ({
    error: "INVALID_UPDATE_VERSION",
    message: `Invalid update version ${level} for feature ${name}. ${because}`,
  });
  const kind =
    apiVersion === 0 ? (update.allowDowngrade ? upgradeTypes.safeDowngrade : upgradeTypes.upgrade) : update.upgradeType;
  if (kind < upgradeTypes.upgrade || kind > upgradeTypes.unsafeDowngrade) {
    return refused("The controller does not support the given upgrade type.");
  }
  if (level < 0) return refused("A feature version cannot be less than 0.");
  const feature = features.find((each) => each.name === name);
  if (feature === undefined) return refused("No broker of this cluster supports this feature.");
  const current = featureLevel(image, feature);
  if (level === current) return undefined;
  if (level < feature.min || level > feature.max) {
    return refused(`The brokers of this cluster only support versions ${feature.min}-${feature.max}`);
  }
  const isDowngrade = kind !== upgradeTypes.upgrade;
  if (level < current && !isDowngrade) {
    return refused(
      "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.",
    );
  }
  if (level > current && isDowngrade) return refused("Can't downgrade to a newer version.");
  if (level === feature.level || feature.others?.includes(level) === true) return undefined;
  return refused("This release does not behave differently at it.");
}

function levelByName(image: Image, name: string): number | undefined {
  const feature = features.find((each) => each.name === name);
  return feature === undefined ? undefined : featureLevel(image, feature);
}

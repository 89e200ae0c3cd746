/** DeleteTopics, by name or from version 6 by id. */
import { type Uuid, uuidZero } from "../../base/ids.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Topic } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler } from "../handler.ts";
import { type Refused, refused } from "./topic-creation.ts";

type Request = RequestOf<"deleteTopics">;
type Response = ResponseInputOf<"deleteTopics">;
type TopicResponse = Response["responses"][number];

export interface DeleteTopicsOptions {
  readonly metadata: Pick<MetadataClient, "image" | "propose">;
  readonly isEnabled: boolean;
}

interface Asked {
  readonly name: string | null;
  readonly topicId: Uuid;
}

/** Older clients do not know TOPIC_DELETION_DISABLED. */
const versionWithDisabled = 3;

export function deleteTopicsHandler(options: DeleteTopicsOptions): Handler<Request, Response> {
  return async (request, { apiVersion }) => {
    const asked: readonly Asked[] = [
      ...request.topics,
      ...request.topicNames.map((name) => ({ name, topicId: uuidZero })),
    ];
    if (!options.isEnabled) {
      const error = apiVersion < versionWithDisabled ? "INVALID_REQUEST" : "TOPIC_DELETION_DISABLED";
      const disabled = refused(error, "Topic deletion is disabled.");
      return { responses: asked.map((one) => answer(one, disabled)) };
    }
    const responses: TopicResponse[] = [];
    const found = asked.map((one) => ({ one, topic: find(options, one) }));
    // One answer for all that name it.
    for (const same of Map.groupBy(found, sameness).values()) {
      const [{ one, topic }] = same as [(typeof same)[number]];
      if (same.length === 1) responses.push(answer(one, await remove(options, topic)));
      else responses.push(answer(namesOf(same.map((each) => each.one)), refused("INVALID_REQUEST", duplicate)));
    }
    return { responses };
  };
}

/** Topics that are not there are named twice by the same word only; what names nothing, or too much, is no name. */
function sameness({ one, topic }: { readonly one: Asked; readonly topic: Topic | Refused }): unknown {
  if (!("kind" in topic)) return topic;
  const isName = (one.name === null) !== (one.topicId === uuidZero);
  return isName ? `${one.topicId} ${one.name}` : one;
}

const duplicate = "Duplicate topic name or id.";

/** All that the request calls a topic by: its name, its id or both. */
function namesOf(all: readonly Asked[]): Asked {
  const name = all.find((one) => one.name !== null)?.name ?? null;
  return { name, topicId: all.find(({ topicId }) => topicId !== uuidZero)?.topicId ?? uuidZero };
}

function find({ metadata }: DeleteTopicsOptions, { name, topicId }: Asked): Topic | Refused {
  if (name !== null && topicId !== uuidZero) {
    return refused("INVALID_REQUEST", "You may not specify both topic name and topic id.");
  }
  if (name === null && topicId === uuidZero) {
    return refused("INVALID_REQUEST", "Neither topic name nor id were specified.");
  }
  if (name === null) {
    return metadata.image.topic(topicId) ?? refused("UNKNOWN_TOPIC_ID", "This server does not host this topic ID.");
  }
  const unknown = "This server does not host this topic-partition.";
  return metadata.image.topicByName(name) ?? refused("UNKNOWN_TOPIC_OR_PARTITION", unknown);
}

async function remove({ metadata }: DeleteTopicsOptions, topic: Topic | Refused): Promise<Topic | Refused> {
  if ("kind" in topic) return topic;
  const proposal = await metadata.propose([{ kind: "delete-topic", topicId: topic.id }]);
  if (proposal.kind === "accepted") return topic;
  const { refusal } = proposal;
  if (refusal.reason === "missing") return refused("UNKNOWN_TOPIC_OR_PARTITION", "The topic is gone already.");
  return refused("UNKNOWN_SERVER_ERROR", refusal.reason === "fenced" ? "this broker was replaced" : refusal.detail);
}

function answer(asked: Asked, outcome: Topic | Refused): TopicResponse {
  if (!("kind" in outcome)) return { name: outcome.name, topicId: outcome.id, errorCode: 0 };
  return { name: asked.name, topicId: asked.topicId, errorCode: code(outcome.error), errorMessage: outcome.message };
}

/** What topic events do to the image. A partition is a stream; stream ids are given out in order and never reused. */
import type { Offset, StreamId, Uuid } from "../base/ids.ts";
import { type ApplyContext, refuse, type Verdict } from "./apply-context.ts";
import { dropRanges } from "./apply-streams.ts";
import type { TopicEvent } from "./events.ts";
import type { Topic } from "./image.ts";
import type { ImageState } from "./image-state.ts";
import { RangeList } from "./range-list.ts";

/** Kafka's own tools stop far below; a typing error must not fill the image. Part of the fold: the same on all nodes. */
const partitionsOfTopicMax = 100_000;

export function applyTopicEvent(image: ImageState, event: TopicEvent, context: ApplyContext): Verdict {
  if (event.kind === "create-topic") return applyCreateTopic(image, event, context);
  const topic = image.topicsById.get(event.topicId);
  if (topic === undefined) return refuse("missing", `topic ${event.topicId}`);
  switch (event.kind) {
    case "delete-topic":
      applyDeleteTopic(image, topic, context);
      return undefined;
    case "create-partitions":
      return applyCreatePartitions(image, topic, event.partitions, context);
    case "set-topic-configs":
      context.undo.set(image.topicsById, topic.id, { ...topic, configs: event.configs });
      return undefined;
  }
}

function applyCreateTopic(
  image: ImageState,
  event: Extract<TopicEvent, { readonly kind: "create-topic" }>,
  context: ApplyContext,
): Verdict {
  if (image.topicIds.has(event.name)) return refuse("exists", `topic ${event.name}`);
  if (image.topicsById.has(event.topicId)) return refuse("exists", `topic ${event.topicId}`);
  if (event.name === "") return refuse("invalid", "a topic without a name");
  if (event.partitions < 1 || event.partitions > partitionsOfTopicMax)
    return refuse("invalid", `${event.partitions} partitions`);
  const predecessors = image.topicGenerations.get(event.name) ?? 0;
  const partitions = addStreams(image, { topicId: event.topicId, from: 0, to: event.partitions }, context);
  const topic: Topic = { id: event.topicId, name: event.name, partitions, configs: event.configs, predecessors };
  context.undo.set(image.topicsById, topic.id, topic);
  context.undo.set(image.topicIds, topic.name, topic.id);
  context.undo.set(image.topicGenerations, topic.name, predecessors + 1);
  return undefined;
}

function applyCreatePartitions(image: ImageState, topic: Topic, partitions: number, context: ApplyContext): Verdict {
  const present = topic.partitions.length;
  if (partitions <= present || partitions > partitionsOfTopicMax)
    return refuse("invalid", `${partitions} partitions, ${present} are there`);
  const added = addStreams(image, { topicId: topic.id, from: present, to: partitions }, context);
  context.undo.set(image.topicsById, topic.id, { ...topic, partitions: [...topic.partitions, ...added] });
  return undefined;
}

/** Objects that held nothing else become unreferenced. The topic's table stays: rounds of it may be on their way. */
function applyDeleteTopic(image: ImageState, topic: Topic, context: ApplyContext): void {
  for (const id of topic.partitions) {
    const stream = image.streamStates.get(id);
    if (stream === undefined) continue;
    dropRanges(image, stream, stream.ranges.length, context);
    context.undo.delete(image.streamStates, id);
  }
  context.undo.assign(image, { partitionCount: image.partitionCount - topic.partitions.length });
  context.undo.delete(image.topicsById, topic.id);
  context.undo.delete(image.topicIds, topic.name);
}

function addStreams(
  image: ImageState,
  what: { readonly topicId: Uuid; readonly from: number; readonly to: number },
  context: ApplyContext,
): readonly StreamId[] {
  const added: StreamId[] = [];
  for (let partition = what.from; partition < what.to; partition++) {
    const id = (image.nextStreamId + added.length) as StreamId;
    added.push(id);
    context.undo.set(image.streamStates, id, {
      id,
      topicId: what.topicId,
      partition,
      epoch: 0,
      node: undefined,
      start: 0 as Offset,
      end: 0 as Offset,
      ranges: new RangeList(image.rangeCells),
    });
  }
  context.undo.assign(image, {
    nextStreamId: image.nextStreamId + added.length,
    partitionCount: image.partitionCount + added.length,
  });
  return added;
}

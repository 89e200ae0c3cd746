/**
 * Waits, within bounds, until partitions that were just made have leaders. Kafka's controller names a leader in the very
 * record that makes a partition, so some clients take the first answer for the last word.
 */
import type { Uuid } from "../../base/ids.ts";
import type { Clock } from "../../base/runtime.ts";
import type { MetadataClient } from "../../metadata/client.ts";

export interface LeaderWait {
  readonly metadata: Pick<MetadataClient, "image" | "onChange">;
  readonly clock: Clock;
}

/** Resolves when every partition of the topics has a leader or is gone, and after `waitMsMax` in any case. */
export function untilLed({ metadata, clock }: LeaderWait, topicIds: readonly Uuid[], waitMsMax: number): Promise<void> {
  const isLed = (): boolean => topicIds.every((id) => hasLeaders(metadata, id));
  if (waitMsMax <= 0 || isLed()) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      watching[Symbol.dispose]();
      timer[Symbol.dispose]();
      resolve();
    };
    const watching = metadata.onChange(() => {
      if (isLed()) done();
    });
    const timer = clock.after(waitMsMax, done);
  });
}

function hasLeaders({ image }: LeaderWait["metadata"], topicId: Uuid): boolean {
  const partitions = image.topic(topicId)?.partitions ?? [];
  return partitions.every((stream) => image.stream(stream)?.node !== undefined);
}

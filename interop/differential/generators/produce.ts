import { uuidZero } from "../../../src/base/ids.ts";
import type { Draw } from "../draw.ts";
import type { Generator } from "../generator.ts";
import { type BatchSpec, batchOf, fresh, topicIdOf } from "../step.ts";

export const produce: Generator<"produce"> = (draw) => {
  const version = draw.version("produce");
  // Of a partition that comes twice Kafka answers once, or never; nor does it ever answer two batches, or none by null.
  const taken = new Set<string>();
  const isNew = (name: string, partition: { readonly index: number }): boolean => {
    const key = `${name} ${partition.index}`;
    return !taken.has(key) && taken.add(key) !== undefined;
  };
  return {
    api: "produce",
    version,
    connection: "main",
    body: {
      transactionalId: null,
      // Nothing is answered to acks=0, so nothing could be compared.
      acks: draw.mostly(draw.of([-1, 1]), [2, -2], 0.05),
      timeoutMs: 10_000,
      topicData: draw.some(
        2,
        () => {
          const name = draw.topic();
          const topicId = version >= 13 ? draw.mostly(topicIdOf(name), [uuidZero], 0.05) : uuidZero;
          const isKnown = (name === `${fresh}a` || name === `${fresh}b`) && topicId !== uuidZero;
          return {
            name: version >= 13 ? "" : name,
            topicId,
            partitionData: draw
              .some(
                2,
                () => ({
                  index: draw.partition(),
                  records: draw.mostly(batchOf(batch(draw)), [new Uint8Array(0)], 0.04),
                }),
                1,
              )
              .filter((partition) => isNew(version >= 13 && !isKnown ? "unknown" : name, partition)),
          };
        },
        draw.chance(0.97) ? 1 : 0,
      ),
    },
  };
};

function batch(draw: Draw): BatchSpec {
  const isIdempotent = draw.chance(0.4);
  return {
    records: draw.some(
      3,
      () => ({
        timeDeltaMs: -hourMs * draw.mostly(1 + draw.int(9), [-3, 2400], 0.06),
        key: draw.mostly(draw.of(["k0", "k1", "k2"]), [null, ""], 0.3),
        value: draw.mostly(`v${draw.int(100)}`, [null, "", "x".repeat(400)], 0.2),
        headers: draw.chance(0.2) ? [[draw.of(["h", ""]), draw.of(["v", null])]] : [],
      }),
      draw.chance(0.97) ? 1 : 0,
    ),
    compression: draw.mostly("none", ["gzip", "snappy", "lz4", "zstd"], 0.3),
    ...(isIdempotent
      ? {
          producer: {
            label: draw.mostly("p0", ["p1", "none"], 0.2),
            epochDelta: draw.mostly(0, [1, -1], 0.1),
            sequence: draw.of([0, 0, 0, 1, 2, 3, 4, 5, -1, 0x7fff_ffff]),
          },
        }
      : {}),
    ...(draw.chance(0.03) ? { isControl: true } : {}),
    ...(draw.chance(0.05) ? { baseOffset: draw.of([1, 1000]) } : {}),
    ...(draw.chance(0.15) ? { fault: draw.of(faults) } : {}),
  };
}

const hourMs = 3_600_000;

const faults = [
  "crc",
  "magic0",
  "magic1",
  "compression",
  "length",
  "count",
  "lastOffsetDelta",
  "cut",
  "garbage",
  "maxTimestamp",
  "deltas",
] as const;

// Proves: a share session follows its epochs, ends with its connection or its last word, and says when it was the group's last.
import { expect, test } from "vitest";
import type { Uuid } from "../../../src/base/ids.ts";
import { ShareSessions } from "../../../src/handlers/share/share-session.ts";

const topicId = "11111111-1111-4111-8111-111111111111" as Uuid;

class World {
  readonly ended: string[] = [];
  readonly connection = new AbortController();
  readonly sessions = new ShareSessions({
    sessionsMax: 2,
    ended: ({ groupId, memberId, isLastOfGroup }) => this.ended.push(`${groupId} ${memberId} ${isLastOfGroup}`),
  });

  ask(epoch: number, memberId = "a", options: { partitions?: readonly number[]; gone?: number; acks?: boolean } = {}) {
    const context = this.sessions.context({
      groupId: "g",
      memberId,
      epoch,
      added: (options.partitions ?? []).map((partition) => ({ topicId, partition })),
      forgotten: options.gone === undefined ? [] : [{ topicId, partition: options.gone }],
      hasAcknowledgements: options.acks ?? false,
      signal: this.connection.signal,
    });
    if (context.kind === "refused") return context.error;
    return context.kind === "final"
      ? "final"
      : context.partitions.map(({ partition }) => partition).sort((a, b) => a - b);
  }
}

test("epochs count up, and partitions come and go", () => {
  const world = new World();
  expect(world.ask(1)).toBe("SHARE_SESSION_NOT_FOUND");
  expect(world.ask(0, "a", { acks: true })).toBe("INVALID_REQUEST");
  expect(world.ask(0, "a", { partitions: [0, 1] })).toEqual([0, 1]);
  expect(world.ask(2)).toBe("INVALID_SHARE_SESSION_EPOCH");
  expect(world.ask(1, "a", { partitions: [2], gone: 0 })).toEqual([1, 2]);
  expect(world.sessions.acknowledging({ groupId: "g", memberId: "a", epoch: 1 })).toBe("INVALID_SHARE_SESSION_EPOCH");
  expect(world.sessions.acknowledging({ groupId: "g", memberId: "a", epoch: 2 })).toBeUndefined();
  expect(world.ask(3)).toEqual([1, 2]);
  expect(world.ask(-1)).toBe("final");
});

test("there is room for so many, and one that begins anew needs no more", () => {
  const world = new World();
  world.ask(0, "a");
  world.ask(0, "b");
  expect(world.ask(0, "c")).toBe("SHARE_SESSION_LIMIT_REACHED");
  expect(world.ask(0, "a")).toEqual([]);
  expect(world.ended).toEqual([]);
});

test("a session ends once: with its last word, or with its connection", () => {
  const world = new World();
  world.ask(0, "a");
  world.ask(0, "b");
  world.sessions.end({ groupId: "g", memberId: "a" });
  expect(world.ended).toEqual(["g a false"]);
  world.connection.abort();
  expect(world.ended).toEqual(["g a false", "g b true"]);
  expect(world.ask(1, "b")).toBe("SHARE_SESSION_NOT_FOUND");
});

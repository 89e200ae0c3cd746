// Proves: consumers of both protocols share a group without ever reading a partition twice, and once all follow, every partition is read.
import fc from "fast-check";
import { expect, test } from "vitest";
import { consumerProtocolAssignment, consumerProtocolSubscription } from "../../schemas/kafka/consumer-protocol.ts";
import type { Uuid } from "../../src/base/ids.ts";
import {
  type ConsumerContext,
  type ConsumerHeartbeat,
  heartbeat,
  withoutMembers,
} from "../../src/coordinator/consumer-group.ts";
import { heartbeatAsClassic, joinAsClassic, syncAsClassic } from "../../src/coordinator/consumer-group-migration.ts";
import {
  ConsumerGroupReplay,
  consumerGroupChanges,
  decodeConsumerRecord,
} from "../../src/coordinator/consumer-group-records.ts";
import {
  type ConsumerGroup,
  consumerGroupState,
  emptyConsumerGroup,
} from "../../src/coordinator/consumer-group-state.ts";
import type { StateRecord } from "../../src/log/state-log.ts";
import { decodeVersioned, encodeVersioned } from "../../src/protocol/versioned.ts";
import { idOf, topicsView } from "./topics-view.ts";

/** Eager clients give up everything before they join again; cooperative ones what they are told, and join once more. */
type Kind = "consumer" | "eager" | "cooperative";

interface Client {
  readonly kind: Kind;
  readonly instanceId: string | null;
  memberId: string;
  epoch: number;
  /** What it reads, by name and number. */
  owned: ReadonlySet<string>;
  step: "join" | "sync" | "beat";
}

class World {
  group: ConsumerGroup = emptyConsumerGroup;
  readonly topics = new Map([
    ["t", 4],
    ["u", 3],
  ]);
  topicsVersion = 1;
  now = 1_000_000;
  made = 0;
  readonly clients = new Map<string, Client>();
  readonly log: StateRecord[] = [];

  get context(): ConsumerContext {
    return {
      now: this.now,
      limits: { membersMax: 9, sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000, assignmentIntervalMs: 0 },
      topics: topicsView(this.topics, this.topicsVersion),
      matches: new Map(),
    };
  }

  become(next: ConsumerGroup): void {
    this.log.push(...consumerGroupChanges("g", this.log.length === 0 ? null : this.group, next));
    this.group = next;
  }

  start(name: string, kind: Kind, isStatic: boolean): void {
    const before = this.clients.get(name);
    this.clients.delete(name);
    const instanceId = isStatic ? name : null;
    if (before !== undefined) this.stop(name, before, instanceId === before.instanceId);
    this.clients.set(name, { kind, instanceId, memberId: "", epoch: 0, owned: new Set(), step: "join" });
    this.act(name);
  }

  /** A member that is restarted says that it leaves; a static one of the classic protocol says nothing. */
  stop(_name: string, client: Client, comesBack: boolean): void {
    if (!this.group.members.has(client.memberId)) return;
    if (client.kind === "consumer") {
      const epoch = client.instanceId === null || !comesBack ? -1 : -2;
      this.beat(client, { epoch, owned: null });
    } else if (!comesBack || client.instanceId === null) {
      this.become(withoutMembers(this.group, new Set([client.memberId]), this.context));
    }
  }

  act(name: string): void {
    const client = this.clients.get(name);
    if (client === undefined) return;
    this.now += 1;
    if (client.kind === "consumer") this.consume(client);
    else this.follow(client);
    this.check();
  }

  consume(client: Client): void {
    if (client.step === "join") {
      this.made += 1;
      client.memberId = `m${this.made}`;
      const full = { epoch: 0, rebalanceTimeoutMs: 60_000, topics: ["t", "u"], owned: new Map() };
      client.owned = new Set();
      if (this.beat(client, full)) client.step = "beat";
    } else if (!this.beat(client, { owned: byTopic(client.owned) })) client.step = "join";
  }

  beat(client: Client, request: Partial<ConsumerHeartbeat>): boolean {
    const full: ConsumerHeartbeat = {
      memberId: client.memberId,
      epoch: client.epoch,
      instanceId: client.instanceId,
      rackId: null,
      rebalanceTimeoutMs: -1,
      topics: null,
      pattern: null,
      patternProblem: null,
      assignor: null,
      owned: null,
      clientId: "client",
      clientHost: "/127.0.0.1",
      ...request,
    };
    const step = heartbeat(this.group, full, this.context);
    if (step.kind === "refused") {
      client.owned = new Set();
      return false;
    }
    this.become(step.group);
    client.epoch = step.answer.epoch;
    if (step.answer.assignment !== null) {
      client.owned = new Set(
        [...step.answer.assignment].flatMap(([topic, numbers]) => [...numbers.keys()].map((at) => `${topic} ${at}`)),
      );
    }
    return true;
  }

  follow(client: Client): void {
    const { memberId, instanceId } = client;
    if (client.step === "join") this.join(client);
    else if (client.step === "sync") {
      const event = {
        memberId,
        instanceId,
        generation: client.epoch,
        protocolType: null,
        protocolName: null,
        assignments: new Map(),
      };
      const answer = syncAsClassic(this.group, event, this.context.topics);
      if (typeof answer === "string") this.again(client, answer);
      else {
        const given = new Set(
          decodeVersioned(consumerProtocolAssignment, Buffer.from(answer.assignment)).assignedPartitions.flatMap(
            ({ topic, partitions }) => partitions.map((at) => `${idOf(topic)} ${at}`),
          ),
        );
        const hasLost = !client.owned.isSubsetOf(given);
        client.owned = given;
        client.step = hasLost && client.kind === "cooperative" ? "join" : "beat";
      }
    } else {
      const error = heartbeatAsClassic(this.group, { memberId, instanceId, generation: client.epoch });
      if (error !== "NONE") this.again(client, error);
    }
  }

  again(client: Client, error: string): void {
    client.step = "join";
    if (error === "REBALANCE_IN_PROGRESS") return;
    client.owned = new Set();
    if (error !== "ILLEGAL_GENERATION") client.memberId = "";
  }

  join(client: Client): void {
    if (client.kind === "eager") client.owned = new Set();
    const ownedPartitions = [...byTopic(client.owned)].map(([id, partitions]) => ({
      topic: this.context.topics.nameOf(id) ?? "gone",
      partitions,
    }));
    const metadata = encodeVersioned(consumerProtocolSubscription, 3, { topics: ["t", "u"], ownedPartitions });
    this.made += 1;
    const step = joinAsClassic(
      this.group,
      {
        memberId: client.memberId,
        memberIdFresh: `m${this.made}`,
        instanceId: client.instanceId,
        protocolType: "consumer",
        protocols: [{ name: "p", metadata }],
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 60_000,
        clientId: "client",
        clientHost: "/127.0.0.1",
        mustKnowId: true,
        canSkipAssignment: true,
      },
      this.context,
    );
    if (step.kind === "refused") {
      this.again(client, step.error);
      return;
    }
    this.become(step.group);
    client.memberId = step.answer.memberId;
    client.epoch = step.answer.generation;
    client.step = "sync";
  }

  check(): void {
    const read = [...this.clients.values()].flatMap(({ owned }) => [...owned]);
    expect(new Set(read).size).toBe(read.length);
    const held = [...this.group.members.values()].flatMap(({ current }) =>
      [...current.assigned, ...current.revoking].flatMap(([topic, numbers]) =>
        [...numbers.keys()].map((at) => `${topic} ${at}`),
      ),
    );
    expect(new Set(held).size).toBe(held.length);
  }

  reload(): void {
    const replay = new ConsumerGroupReplay();
    for (const { key, value } of this.log) {
      const decoded = decodeConsumerRecord(key, value);
      if (decoded === undefined) throw new Error("a record of no consumer group");
      replay.apply(decoded.record);
    }
    this.group = replay.group() ?? emptyConsumerGroup;
  }
}

function byTopic(owned: ReadonlySet<string>): ReadonlyMap<Uuid, readonly number[]> {
  const topics = new Map<Uuid, number[]>();
  for (const each of owned) {
    const [topic, at] = each.split(" ") as [Uuid, string];
    topics.set(topic, [...(topics.get(topic) ?? []), Number(at)]);
  }
  return topics;
}

const names = ["a", "b", "c", "d"];
const name = fc.constantFrom(...names);
const kind = fc.constantFrom<Kind>("consumer", "eager", "cooperative");
const actions = fc.oneof(
  { weight: 3, arbitrary: fc.record({ is: fc.constant("start" as const), name, kind, isStatic: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ is: fc.constant("act" as const), name }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("lapse" as const), name }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("grow" as const) }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("reload" as const) }) },
);

test("whoever comes, goes and is restarted with the other protocol", () => {
  fc.assert(
    fc.property(fc.array(actions, { maxLength: 60 }), (sequence) => {
      const world = new World();
      world.start("always", "consumer", false); // With classic members alone it would be a group of another kind.
      for (const action of sequence) {
        const client = "name" in action ? world.clients.get(action.name) : undefined;
        if (action.is === "start") world.start(action.name, action.kind, action.isStatic);
        else if (action.is === "act") world.act(action.name);
        else if (action.is === "reload") world.reload();
        else if (action.is === "grow") {
          world.topics.set("t", (world.topics.get("t") ?? 0) + 1);
          world.topicsVersion += 1;
        } else if (client !== undefined) {
          world.clients.delete(action.name); // It died, and its session ended.
          world.become(withoutMembers(world.group, new Set([client.memberId]), world.context));
        }
        world.check();
      }
      // Those whom nobody plays any more lose their sessions.
      const alive = new Set(Array.from(world.clients.values(), ({ memberId }) => memberId));
      const gone = new Set([...world.group.members.keys()].filter((id) => !alive.has(id)));
      world.become(withoutMembers(world.group, gone, world.context));
      for (let round = 0; round < 40; round += 1) for (const each of world.clients.keys()) world.act(each);
      expect(consumerGroupState(world.group)).toBe("stable");
      const read = [...world.clients.values()].flatMap(({ owned }) => [...owned]);
      expect(read).toHaveLength((world.topics.get("t") ?? 0) + (world.topics.get("u") ?? 0));
    }),
    { numRuns: 150 },
  );
});

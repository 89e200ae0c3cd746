/** The admin, group and share handlers over metadata and a log in memory. Every call goes through the wire format both ways. */
import { type Settings, settingsTable } from "../../schemas/config.ts";
import { type ErrorName, errorName } from "../../schemas/kafka/errors.ts";
import { LogLevels } from "../../src/base/log-levels.ts";
import { GroupCoordinator } from "../../src/coordinator/group-coordinator.ts";
import { adminHandlers, groupCoordinatorOptions } from "../../src/handlers/admin-handlers.ts";
import { clusterAdminHandlers } from "../../src/handlers/cluster/cluster-admin-handlers.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import { openShare, type ShareParts } from "../../src/handlers/share/share-handlers.ts";
import { followTopics } from "../../src/handlers/topics/internal-topics.ts";
import type { MetadataEvent } from "../../src/metadata/events.ts";
import { type ApiName, apiNames, apis, type RequestInputOf, type ResponseOf } from "../../src/protocol/api-table.ts";
import { anonymous, type RequestContext } from "../../src/protocol/dispatch.ts";
import { SimClock } from "../sim/clock.ts";
import { SimRandom } from "../sim/random.ts";
import { FakeLog } from "../support/fake-log.ts";
import { MemoryMetadata } from "../support/memory-metadata.ts";

const defaults = Object.fromEntries(
  Object.entries(settingsTable).map(([name, setting]) => [name, setting.default]),
) as unknown as Settings; // The table's own types say what the loop cannot.

type WorldHandlers = ReturnType<typeof adminHandlers> &
  ReturnType<typeof clusterAdminHandlers> &
  ReturnType<ShareParts["handlers"]>;

export class AdminWorld implements AsyncDisposable {
  readonly clock = new SimClock();
  readonly log = new FakeLog();
  readonly metadata = new MemoryMetadata();
  /** How long after they were made partitions get a leader; undefined: never. */
  opensAfterMs: number | undefined = 0;
  /** How long after they were made partitions can be read and written; before, lookups say what `log.otherwise` says. */
  readableAfterMs = 0;
  readonly failures: unknown[] = [];
  readonly logLevels = new LogLevels("info");
  readonly coordinator: GroupCoordinator;
  readonly handlers: WorldHandlers;
  readonly #watch: Disposable;
  readonly #share: ShareParts;

  constructor(overrides: Partial<Settings> = {}) {
    const settings = { ...defaults, groupInitialRebalanceDelayMs: 0, groupOffsetsPartitions: 2, ...overrides };
    const runtime = { clock: this.clock, random: new SimRandom("admin") };
    const failed = (cause: unknown): void => void this.failures.push(cause);
    this.metadata.log.register(this.metadata.nodeId, { host: "bound", port: 1, rack: "a" });
    this.metadata.onChange((events) => this.#follow(events));
    const common = { settings, metadata: this.metadata, log: this.log, runtime, failed };
    const advertised = { host: "public", port: 9092 };
    this.#share = openShare({ ...common, advertised });
    this.coordinator = new GroupCoordinator({
      ...groupCoordinatorOptions(common),
      shareServices: this.#share.services,
    });
    this.handlers = {
      ...adminHandlers({
        ...common,
        coordinator: this.coordinator,
        advertised,
        served: () => apiNames,
        logLevels: this.logLevels,
        mayCreate: (topic, context) => this.mayCreate(topic, context),
        maySee: (context) => (topic) => this.maySee(topic, context),
      }),
      ...clusterAdminHandlers({ ...common, advertised }),
      ...this.#share.handlers(this.coordinator),
    };
    this.#watch = followTopics(this.metadata, this.coordinator, failed);
  }

  /** What a log of this node would do: it makes partitions of new streams, and opens them. */
  #follow(events: readonly MetadataEvent[]): void {
    const grown = events.filter((event) => event.kind === "create-topic" || event.kind === "create-partitions");
    for (const { topicId } of grown) {
      const topic = this.metadata.image.topic(topicId);
      if (topic === undefined) continue;
      const open = () => this.log.add(topic.id, topic.name, topic.partitions.length);
      if (this.readableAfterMs === 0) open();
      else this.clock.after(this.readableAfterMs, open);
      const closed = topic.partitions.filter((id) => this.metadata.image.stream(id)?.node === undefined);
      if (this.opensAfterMs === undefined) continue;
      this.clock.after(this.opensAfterMs, () => this.metadata.apply([{ kind: "open-streams", streams: closed }]));
    }
  }

  /** Internal topics of streams applications: anybody may make them, unless there are ACLs. */
  mayCreate(_topic: string, _context: RequestContext): boolean {
    return true;
  }

  /** What a regular expression may mean: any topic, unless there are ACLs. */
  maySee(_topic: string, _context: RequestContext): boolean {
    return true;
  }

  /** In the API's newest version unless another is given. */
  async call<Name extends keyof WorldHandlers>(
    name: Name,
    request: RequestInputOf<Name>,
    apiVersion: number = apis[name].request.versions[1],
  ): Promise<ResponseOf<Name>> {
    return await this.clock.until(this.send(name, request, apiVersion));
  }

  /** Does not turn the clock: for requests that wait for others. */
  async send<Name extends keyof WorldHandlers>(
    name: Name,
    request: RequestInputOf<Name>,
    apiVersion: number = apis[name].request.versions[1],
  ): Promise<ResponseOf<Name>> {
    const api = apis[name as ApiName];
    const decoded = api.request.decode(api.request.encode(request as never, apiVersion), apiVersion);
    const handler = this.handlers[name] as Handler<unknown, unknown>;
    const context: RequestContext = {
      apiVersion,
      correlationId: 1,
      clientId: "client",
      clientHost: "127.0.0.1",
      listener: "PLAINTEXT",
      principal: anonymous,
      signal: new AbortController().signal,
    };
    const response = await handler(decoded, context);
    return api.response.decode(api.response.encode(response as never, apiVersion), apiVersion) as ResponseOf<Name>;
  }

  async topic(name: string, partitions = 1, configs: Record<string, string> = {}): Promise<void> {
    const response = await this.call("createTopics", {
      topics: [
        {
          name,
          numPartitions: partitions,
          replicationFactor: -1,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        },
      ],
    });
    const { errorCode, errorMessage } = response.topics[0] ?? {};
    if (errorCode !== 0) throw new Error(`${name}: ${errorMessage}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]();
    await this.coordinator[Symbol.asyncDispose]();
    await this.#share[Symbol.asyncDispose]();
    if (this.failures.length > 0) throw new AggregateError(this.failures);
  }
}

export function error(answer: { readonly errorCode: number } | undefined): ErrorName | undefined {
  return answer === undefined ? undefined : errorName(answer.errorCode);
}

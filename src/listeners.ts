/** All ports for Kafka clients, as the configuration names them. */
import { type AddressInfo, createServer } from "node:net";
import type { Settings } from "../schemas/config.ts";
import { openAuthentication } from "./authentication.ts";
import type { Runtime } from "./base/runtime.ts";
import type { Logger } from "./base/telemetry.ts";
import type { ListenerSettings } from "./config/security.ts";
import type { Config } from "./config.ts";
import type { Core } from "./core.ts";
import { kafkaLimits } from "./limits.ts";
import { dispatcher } from "./protocol/dispatch.ts";
import {
  type KafkaListener,
  type KafkaListenerMetrics,
  type KafkaListenerOptions,
  listenerWords,
  openKafkaListener,
} from "./server/kafka-listener.ts";
import { listen } from "./server/listen.ts";
import { TlsFiles } from "./server/tls-files.ts";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** A listener whose port is chosen: the node registers under it before anything listens. */
export interface PlannedListener {
  readonly settings: ListenerSettings;
  readonly port: number;
  /** Where its clients are told to connect. */
  readonly advertised: Endpoint;
  /** To be called before the port is bound, or when it will not be. */
  readonly release: (() => Promise<void>) | undefined;
}

export async function planListeners(
  listeners: Config["listeners"],
): Promise<readonly [PlannedListener, ...PlannedListener[]]> {
  const [first, ...more] = listeners;
  return [await planListener(first), ...(await Promise.all(more.map(planListener)))];
}

async function planListener(settings: ListenerSettings): Promise<PlannedListener> {
  const { port, release } = settings.port === 0 ? await reservePort(settings) : { ...settings, release: undefined };
  const advertised = {
    host: settings.advertisedHost || reachable(settings.host),
    port: settings.advertisedPort || port,
  };
  return { settings, port, advertised, release };
}

export interface ListenersOptions {
  readonly planned: readonly PlannedListener[];
  readonly config: Pick<Config, "sasl">;
  readonly settings: Settings;
  readonly core: Core;
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly metrics: KafkaListenerMetrics;
}

export interface Listeners extends AsyncDisposable {
  readonly all: ReadonlyMap<string, KafkaListener>;
}

/** Rejects when a port cannot be bound, or a file that a listener needs cannot be read. */
export async function openListeners(options: ListenersOptions): Promise<Listeners> {
  const { planned, config, settings, core, runtime, logger } = options;
  await using opened = new AsyncDisposableStack();
  const audit = logger.child({ audit: true });
  const wanted = new Set(planned.flatMap(({ settings: { mechanisms } }) => mechanisms));
  const { sasl } = config;
  const { metadata } = core;
  const { mechanisms } = opened.use(await openAuthentication({ settings, sasl, wanted, metadata, runtime, logger }));
  const shared = {
    dispatcher: dispatcher(core.handlers),
    limits: kafkaLimits(settings),
    slabs: core.slabs,
    admits: (clientHost: string) => core.quotas.admits(clientHost),
    clock: runtime.clock,
    logger,
    metrics: options.metrics,
    failed: (cause: unknown, api: string) => logger.error("a request failed in its handler", { api, cause }),
  } satisfies Partial<KafkaListenerOptions>;
  const all = new Map<string, KafkaListener>();
  for (const { settings: listener, port, release } of planned) {
    const { name, host, path, protocol } = listener;
    const offered = listener.mechanisms.flatMap((word) => {
      const mechanism = mechanisms.get(word);
      return mechanism === undefined ? [] : [[word, mechanism] as const];
    });
    const sasl = protocol.startsWith("SASL") ? { mechanisms: new Map(offered), limits: settings, audit } : undefined;
    const tls = protocol.endsWith("SSL") ? await openTls(listener, options, opened) : undefined;
    await release?.();
    all.set(name, opened.use(await openKafkaListener({ ...shared, name, host, port, settings: path, sasl, tls })));
  }
  const parts = opened.move();
  return { all, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

async function openTls(
  { tls }: ListenerSettings,
  { settings, runtime, logger }: ListenersOptions,
  opened: AsyncDisposableStack,
): Promise<NonNullable<KafkaListenerOptions["tls"]>> {
  const files = opened.use(
    await TlsFiles.open({ paths: tls, reloadMs: settings.tlsReloadMs, clock: runtime.clock, logger }),
  );
  const handshakeMsMax = settings.authenticationMsMax;
  return { files, clientAuth: tls.clientAuth, mapping: tls.rules, handshakeMsMax };
}

/** What a client on this machine connects to. */
function reachable(host: string): string {
  return host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
}

/** A free port, which nobody else is given before it is released. */
async function reservePort({
  name,
  host,
  path,
}: ListenerSettings): Promise<{ readonly port: number; readonly release: () => Promise<void> }> {
  const server = createServer((socket) => socket.destroy());
  await listen(server, { what: listenerWords(name), host, port: 0, settings: path });
  const { port } = server.address() as AddressInfo;
  return { port, release: () => new Promise((released) => server.close(() => released())) };
}

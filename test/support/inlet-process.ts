/** A real Inlet broker as its own process, started the way a person starts it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { answers, checkout, freePort, type Running, start } from "./processes.ts";

export interface InletBroker extends AsyncDisposable {
  readonly bootstrap: string;
  readonly registry: string;
  readonly catalog: string;
  readonly http: string;
  readonly running: Running;
}

/** `config` is merged over a file that takes free ports on loopback; the data live in `directory`. */
export async function startInlet(options: {
  readonly directory: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly name?: string;
}): Promise<InletBroker> {
  mkdirSync(options.directory, { recursive: true });
  const [kafka, registry, catalog, http] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const {
    kafka: kafkaConfig,
    registry: registryConfig,
    catalog: catalogConfig,
    http: httpConfig,
    ...rest
  } = (options.config ?? {}) as Record<string, object | undefined>;
  const config = {
    data: { directory: join(options.directory, "data") },
    kafka: { host: "127.0.0.1", port: kafka, ...kafkaConfig },
    registry: { port: registry, ...registryConfig },
    catalog: { port: catalog, ...catalogConfig },
    http: { port: http, ...httpConfig },
    ...rest,
  };
  const file = join(options.directory, "inlet.yaml");
  writeFileSync(file, stringify(config));
  const running = await start(
    options.name ?? "inlet",
    process.execPath,
    [join(checkout, "bin/inlet"), "start", "-c", file],
    {
      ready: () => answers(`http://127.0.0.1:${http}/health/ready`),
      timeoutMs: 60_000,
    },
  );
  return {
    bootstrap: `127.0.0.1:${kafka}`,
    registry: `http://127.0.0.1:${registry}`,
    catalog: `http://127.0.0.1:${catalog}`,
    http: `http://127.0.0.1:${http}`,
    running,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

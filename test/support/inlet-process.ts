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

/** Two thirds of a start are spent on compiling; what one process compiled, the next ones find. Written by those that end well. */
export const quickStart = { NODE_COMPILE_CACHE: join(checkout, ".cache/compile") };

interface Ports {
  readonly kafkaPort: number;
  readonly registryPort: number;
  readonly catalogPort: number;
  readonly httpPort: number;
}

/** By directory. */
const portsTaken = new Map<string, Ports>();

/** A broker that comes back has the ports that it had: clients look for it there, and nobody else has taken them. */
async function portsIn(directory: string, kafkaPort: number | undefined): Promise<Ports> {
  const ports = portsTaken.get(directory) ?? {
    kafkaPort: kafkaPort ?? (await freePort()),
    registryPort: await freePort(),
    catalogPort: await freePort(),
    httpPort: await freePort(),
  };
  portsTaken.set(directory, ports);
  return ports;
}

/** `config` is merged, section by section, over a file that takes free ports on loopback; the data live in `directory`. */
export async function startInlet(options: {
  readonly directory: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly name?: string;
  /** A free one by default; of the first start in a directory. */
  readonly kafkaPort?: number;
  readonly env?: NodeJS.ProcessEnv;
}): Promise<InletBroker> {
  mkdirSync(options.directory, { recursive: true });
  const { kafkaPort, registryPort, catalogPort, httpPort } = await portsIn(options.directory, options.kafkaPort);
  const ports: Readonly<Record<string, object>> = {
    data: { directory: join(options.directory, "data") },
    kafka: { port: kafkaPort },
    registry: { port: registryPort },
    catalog: { port: catalogPort },
    http: { port: httpPort },
  };
  const given = Object.entries(options.config ?? {}).map(([name, section]) => {
    return [name, { ...ports[name], ...(section as object) }] as const;
  });
  const config = { ...ports, ...Object.fromEntries(given) };
  const file = join(options.directory, "inlet.yaml");
  writeFileSync(file, stringify(config));
  const running = await start(
    options.name ?? "inlet",
    process.execPath,
    [join(checkout, "bin/inlet"), "start", "-c", file],
    {
      ready: () => answers(`http://127.0.0.1:${httpPort}/health/ready`),
      timeoutMs: 60_000,
      env: { ...quickStart, ...options.env },
    },
  );
  return {
    bootstrap: `127.0.0.1:${kafkaPort}`,
    registry: `http://127.0.0.1:${registryPort}`,
    catalog: `http://127.0.0.1:${catalogPort}`,
    http: `http://127.0.0.1:${httpPort}`,
    running,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

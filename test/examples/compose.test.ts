/** Proves: docker-compose.yml and Dockerfile name only what is there, and the broker's YAML among them is accepted. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { configOf } from "../support/config.ts";
import { answers, checkout, freePort, start } from "../support/processes.ts";

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: string | readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: unknown;
}

const read = (path: string): string => readFileSync(join(checkout, path), "utf8");
const compose = parse(read("docker-compose.yml")) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const services = Object.entries(compose.services);
const brokerFile = "examples/compose/inlet.yaml";
const { settings, tables } = configOf(read(brokerFile), {}, brokerFile);

describe("docker-compose.yml", () => {
  test("services wait for services that can be waited for", () => {
    expect(Object.keys(compose.services)).toEqual(["s3", "bucket", "inlet", "trino"]);
    for (const [, { depends_on: waits = {} }] of services) {
      for (const [other, { condition }] of Object.entries(waits)) {
        expect(compose.services).toHaveProperty(other);
        if (condition === "service_healthy") expect(compose.services[other]?.healthcheck).toBeDefined();
      }
    }
  });

  test("volumes are declared, mounted files are there, and no two ports of the host are the same", () => {
    const volumes = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(":")[0] as string));
    expect(volumes.length).toBeGreaterThan(3);
    for (const volume of volumes) {
      if (volume.startsWith(".")) expect([volume, existsSync(join(checkout, volume))]).toEqual([volume, true]);
      else expect(compose.volumes).toHaveProperty(volume);
    }
    const ports = services.flatMap(([, { ports = [] }]) => ports.map((port) => port.split(":").slice(0, 2).join(":")));
    expect(new Set(ports).size).toBe(ports.length);
    expect(ports.every((port) => port.startsWith("127.0.0.1:"))).toBe(true);
  });

  test("the ports and the store of the broker's YAML are those of the services", () => {
    const { kafkaPort, registryPort, catalogPort, httpPort } = settings;
    const published = compose.services["inlet"]?.ports?.map((port) => Number(port.split(":").at(-1)));
    expect(published).toEqual([kafkaPort, registryPort, catalogPort, httpPort]);
    const hosts = [settings.kafkaHost, settings.registryHost, settings.catalogHost, settings.httpHost];
    expect(new Set(hosts)).toEqual(new Set(["0.0.0.0"]));
    expect(new URL(settings.objectStoreUrl).searchParams.get("endpoint")).toBe("http://s3:8333");
    expect(settings.httpHostsAllowed).toContain("inlet");
    const lake = read("examples/compose/lake.properties");
    expect(lake).toContain(`http://inlet:${catalogPort}`);
    expect(lake).toContain("s3.endpoint=http://s3:8333");
  });

  test("its topics are those of the examples", () => {
    for (const { topic, ...table } of tables) {
      const file = `examples/${topic}/inlet.yaml`;
      const example = configOf(read(file), {}, file);
      expect({ topic, ...table }).toEqual(example.tables[0]);
    }
    expect(tables).toHaveLength(2);
  });

  test.runIf(isInstalled("docker-compose"))("docker-compose accepts it", () => {
    execFileSync("docker-compose", ["-f", join(checkout, "docker-compose.yml"), "config", "--quiet"]);
  });
});

describe("Dockerfile", () => {
  test("what it copies is all that a broker needs", async () => {
    const lines = read("Dockerfile").split("\n");
    const copied = lines
      .filter((line) => line.startsWith("COPY "))
      .flatMap((line) => line.split(" ").slice(1, -1))
      .toSorted();
    expect(copied).toContain("src");
    const app = mkdtempSync(join(tmpdir(), "inlet-image-"));
    try {
      for (const name of copied) cpSync(join(checkout, name), join(app, name), { recursive: true });
      symlinkSync(join(checkout, "node_modules"), join(app, "node_modules")); // Stands for its `npm ci`.
      const check = ["config", "check", "-c", join(checkout, brokerFile)];
      expect(execFileSync(join(app, "bin/inlet"), check, { encoding: "utf8" })).toContain("ok: ");
      const ports = ["kafka", "registry", "catalog"].flatMap((name) => [`--${name}-port`, "0"]);
      const http = await freePort();
      const where = ["--data-directory", join(app, "data"), "--http-port", String(http)];
      await using _broker = await start("image", join(app, "bin/inlet"), ["start", ...where, ...ports], {
        ready: () => answers(`http://127.0.0.1:${http}/health/ready`),
      });
    } finally {
      rmSync(app, { recursive: true });
    }
  });
});

function isInstalled(command: string): boolean {
  return (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(join(folder, command)));
}

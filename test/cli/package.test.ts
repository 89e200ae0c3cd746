/** Proves: what `npm pack` would publish, compiled, is a broker that turns records into a table under nothing but its own files. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { answers, checkout, freePort, start } from "../support/processes.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "inlet-package-"));
});
afterAll(() => rmSync(home, { recursive: true }));

/** What would be published, without the packages that it needs. */
function compiled(directory: string): void {
  const tsc = join(checkout, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [
    tsc,
    "-p",
    join(checkout, "tsconfig.build.json"),
    "--outDir",
    join(directory, "dist"),
  ]);
  for (const name of [...packageJson.files, "package.json"]) {
    if (name !== "dist") cpSync(join(checkout, name), join(directory, name), { recursive: true });
  }
}

test("two builds at two places make the same tarball, with what is to be in it", { timeout: 120_000 }, () => {
  const packed = ["one", "other"].map((name) => {
    const directory = join(home, name);
    compiled(directory);
    const args = ["pack", "--json", "--ignore-scripts"];
    const [told] = JSON.parse(execFileSync("npm", args, { cwd: directory, encoding: "utf8", stdio: "pipe" })) as [
      { readonly integrity: string; readonly files: readonly { readonly path: string }[] },
    ];
    return told;
  });
  expect(packed[0]?.files.length).toBeGreaterThan(500);
  expect(packed[0]?.files.filter(({ path }) => !/^(bin|dist)\/|^package\.json$/.test(path))).toEqual([]);
  expect(packed[0]?.integrity).toBe(packed[1]?.integrity);
});

test("the compiled package starts, takes records and commits them", { timeout: 120_000 }, async () => {
  compiled(home);
  symlinkSync(join(checkout, "node_modules"), join(home, "node_modules")); // Stands for its `npm ci`.
  expect(existsSync(join(home, "src"))).toBe(false);

  const [kafkaPort, httpPort] = [await freePort(), await freePort()];
  const http = `http://127.0.0.1:${httpPort}`;
  const ports = [
    "--kafka-port",
    `${kafkaPort}`,
    "--http-port",
    `${httpPort}`,
    "--registry-port",
    "0",
    "--catalog-port",
    "0",
  ];
  const config = join(checkout, "examples/earthquakes/inlet.yaml");
  const args = ["start", "-c", config, "--data-directory", join(home, "data"), ...ports];
  await using _broker = await start("package", join(home, "bin/inlet"), args, {
    ready: () => answers(`${http}/health/ready`),
  });
  const producer = new Kafka({ brokers: [`127.0.0.1:${kafkaPort}`], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  await producer.send({ topic: "earthquakes", messages: [{ key: "a", value: '{"mag":4.5}' }] });
  await producer.disconnect();
  const flushed = await fetch(`${http}/v1/tables/earthquakes/flush`, { method: "POST" });
  expect([flushed.status, await flushed.json()]).toMatchObject([200, { committedTo: { 0: 1 } }]);
});

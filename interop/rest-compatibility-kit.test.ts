/**
 * Proves: Iceberg's own REST Compatibility Kit finds nothing wrong with the embedded catalog's tables, namespaces and views.
 *
 * Switched off, and why: what the kit itself leaves out for every remote server: nested and empty namespaces, names with
 * slashes, and places that are unique to a test.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { command, java, restCompatibilityKit } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-rck-"));
/** The kit asks for tables at places of its own choice, below /tmp; only these namespaces are its. */
const kitPlaces = ["ns", "newdb"].map((namespace) => join("/tmp", namespace));
let broker: InletBroker;

beforeAll(async () => {
  broker = await startInlet({
    directory,
    name: "inlet-rck",
    config: {
      lake: { catalogs: { main: { type: "embedded" } } },
      // Without the cache the catalog finds out that somebody took a metadata file away, as one test does.
      catalog: { warehouse: pathToFileURL("/tmp").href, metadata: { entries: { max: 0 } } },
    },
  });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  for (const place of [directory, ...kitPlaces]) rmSync(place, { recursive: true, force: true });
});

test("the REST Compatibility Kit passes", async () => {
  const libs = await restCompatibilityKit();
  const reports = join(directory, "reports");
  const kit = {
    uri: `${broker.catalog}/`,
    warehouse: "main",
    "rck.local": "false",
    "rck.requires-namespace-create": "true",
    "rck.supports-names-with-dot": "true",
  };
  const properties = Object.entries(kit).map(([name, value]) => `-D${name}=${value}`);
  const console = ["org.junit.platform.console.ConsoleLauncher", "execute", "--details=none", "--disable-banner"];
  const suites = ["Catalog", "ViewCatalog"].map((of) => `org.apache.iceberg.rest.RESTCompatibilityKit${of}Tests`);
  const args = [
    ...properties,
    "-cp",
    join(libs, "*"),
    ...console,
    ...suites.map((suite) => `--select-class=${suite}`),
    `--reports-dir=${reports}`,
  ];
  // The console's exit status says that tests failed; the report says which.
  const failure = await command(java(17), args, { cwd: directory, env: { JAVA_TOOL_OPTIONS: "" } }).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  const results = resultsOf(reports, failure);
  const { passed, failed, skipped } = results;
  process.stdout.write(
    `REST Compatibility Kit: ${passed.length} passed, ${failed.length} failed, ${skipped.length} off\n`,
  );
  expect(failed).toEqual([]);
  expect(passed.length).toBeGreaterThanOrEqual(147);
  expect(skipped.length).toBeLessThanOrEqual(10);
});

interface Results {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  /** Aborted by an assumption of the kit, or disabled in it. */
  readonly skipped: readonly string[];
}

function resultsOf(reports: string, failure: unknown): Results {
  const cases = readdirSync(reports).flatMap((name) => {
    const xml = readFileSync(join(reports, name), "utf8");
    return [...xml.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)];
  });
  if (cases.length === 0) throw new Error("the kit reported nothing", { cause: failure });
  const named = (fits: (body: string) => boolean) =>
    cases.filter(([, , body = ""]) => fits(body)).map(([, name]) => name as string);
  const isFailed = (body: string) => /<(failure|error)\b/.test(body);
  const isSkipped = (body: string) => body.includes("<skipped");
  return {
    passed: named((body) => !isFailed(body) && !isSkipped(body)),
    failed: named(isFailed),
    skipped: named(isSkipped),
  };
}

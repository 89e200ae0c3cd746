/** Proves: what is installed and published is what was looked at: pinned, with known licences, without scripts, with a list of its parts. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import lock from "../package-lock.json" with { type: "json" };
import { checkout } from "./support/processes.ts";

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
}

const read = (path: string): string => readFileSync(join(checkout, path), "utf8");
/** Its type is one of each package; they have these fields in common. */
const locked = Object.entries(lock.packages as unknown as Readonly<Record<string, Locked>>).filter(
  ([path]) => path !== "",
);
const nameOf = (path: string): string => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
/** Of another platform: what the lock knows of them is their version (scripts/complete-lock.ts). */
const isElsewhere = ({ optional, resolved }: Locked): boolean => optional === true && resolved === undefined;

test("every version is exact, and every package that is downloaded has its digest in the lock", () => {
  const { dependencies, devDependencies, optionalDependencies } = packageJson;
  const ranges = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies });
  expect(ranges.length).toBeGreaterThan(30);
  expect(ranges.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  expect(locked.length).toBeGreaterThan(300);
  const loose = locked.filter(([, each]) => !isElsewhere(each) && each.integrity?.startsWith("sha512-") !== true);
  expect(loose).toEqual([]);
  expect(locked.filter(([, each]) => isElsewhere(each) && each.version === undefined)).toEqual([]);
});

test("nothing runs when it is installed", () => {
  const { scripts } = packageJson as { readonly scripts: Readonly<Record<string, string>> };
  const atInstall = ["preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare"];
  expect(atInstall.filter((name) => Object.hasOwn(scripts, name))).toEqual([]);
  // It prints a warning about version ranges. Whoever is next has to be looked at.
  const withScripts = locked.filter(([, { hasInstallScript }]) => hasInstallScript === true);
  expect(withScripts.map(([path]) => nameOf(path))).toEqual(["protobufjs"]);
  for (const file of [".ci/run", "Dockerfile"]) {
    const installs = read(file).match(/npm ci[^\n&]*/g) ?? [];
    expect([file, installs.length]).not.toEqual([file, 0]);
    expect(installs.filter((command) => !command.includes("--ignore-scripts"))).toEqual([]);
  }
});

test("what runs in production has a licence that may be passed on, and a reason to be here", () => {
  const allowed = new Set(["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "MIT OR Apache-2.0"]);
  const inProduction = locked.filter(([, each]) => each.dev !== true && !isElsewhere(each));
  expect(inProduction.length).toBeGreaterThan(50);
  expect(inProduction.filter(([, { license }]) => !allowed.has(license ?? "")).map(([path]) => path)).toEqual([]);
  const reasons = read("docs/decisions/dependencies.md");
  const direct = Object.keys(packageJson.dependencies);
  expect(direct.filter((name) => !new RegExp(`^\\|[^|]*\`${name}\`[^|]*\\|`, "m").test(reasons))).toEqual([]);
});

test("it is published with its provenance, as a list of files, and says which versions are supported", () => {
  expect(packageJson.publishConfig).toEqual({ access: "public", provenance: true });
  expect(packageJson.files).toEqual(["bin", "dist"]);
  expect(packageJson.private).toBe(false);
  expect(read("SECURITY.md")).toContain(`| ${packageJson.version.split(".").slice(0, 2).join(".")}.x`);
});

test("its parts are told as CycloneDX", { timeout: 60_000 }, () => {
  // Without `--omit dev`, with which npm also leaves out what both kinds of dependencies need.
  const args = ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"];
  const parts = JSON.parse(execFileSync("npm", args, { cwd: checkout, encoding: "utf8", stdio: "pipe" })) as {
    readonly bomFormat: string;
    readonly components: readonly { readonly name: string; readonly version: string }[];
  };
  expect(parts.bomFormat).toBe("CycloneDX");
  const told = new Set(parts.components.map(({ name, version }) => `${name} ${version}`));
  const direct = Object.entries(packageJson.dependencies);
  expect(direct.filter(([name, version]) => !told.has(`${name} ${version}`))).toEqual([]);
});

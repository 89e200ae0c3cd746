/**
 * Adds to package-lock.json the optional packages of other platforms that npm left out. npm does that when the registry it
 * asks lacks them (a partial mirror), and then `npm ci` refuses its own lock. Run it after `npm install`; it changes
 * nothing when the lock is whole.
 */
import { readFileSync, writeFileSync } from "node:fs";

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const systems = ["android", "darwin", "freebsd", "linux", "openharmony", "win32", "wasi"];
const processors: readonly (readonly [word: string, cpu: string])[] = [
  ["x64", "x64"],
  ["arm64", "arm64"],
  ["ia32", "ia32"],
  ["ppc64", "ppc64"],
  ["riscv64", "riscv64"],
  ["s390x", "s390x"],
  ["arm", "arm"],
  ["wasm32", "wasm32"],
];

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, LockedPackage> };
const added: Record<string, LockedPackage> = {};
for (const [path, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const at = `node_modules/${name}`;
    if (lock.packages[at] !== undefined || lock.packages[`${path}/${at}`] !== undefined) continue;
    added[at] = { version, ...(dev === true ? { dev } : {}), optional: true, ...platformOf(name) };
  }
}
lock.packages = Object.fromEntries(Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${Object.keys(added).length} packages added`);

/** From the words of the package's name, as all of them spell it: binding-linux-arm64-musl. */
function platformOf(name: string): Pick<LockedPackage, "os" | "cpu" | "libc"> {
  const words = name.split(/[/-]/);
  const os = systems.filter((system) => words.includes(system));
  const cpu = processors.filter(([word]) => words.includes(word)).map(([, each]) => each);
  const libc = words.some((word) => word.startsWith("musl"))
    ? ["musl"]
    : words.some((word) => word.startsWith("gnu"))
      ? ["glibc"]
      : [];
  if (os.length !== 1 || cpu.length !== 1) throw new Error(`no platform can be read from ${name}`);
  return { os, cpu, ...(os[0] === "linux" && libc.length > 0 ? { libc } : {}) };
}

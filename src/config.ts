/** Settings from flags, INLET_* variables, a YAML file and defaults, in that order of strength. The only reader of the environment. */
import { existsSync, readFileSync, statSync } from "node:fs";
import type { Settings } from "../schemas/config.ts";
import { type CatalogSettings, catalogSettings } from "./config/catalogs.ts";
import { fileShape, flagOf, settingRows, shapeOf, variableOf } from "./config/file-shape.ts";
import { lakeShape, tableSettings, topicsShape } from "./config/lake.ts";
import { checkLake } from "./config/lake-checks.ts";
import { checkPorts } from "./config/port-checks.ts";
import { ConfigRefused, didYouMean, type Origin, type Problem, sortProblems } from "./config/problem.ts";
import { readShape } from "./config/read.ts";
import {
  type ListenerSettings,
  listenerSettings,
  listenersShape,
  type SaslSettings,
  saslSettings,
  saslShape,
  simpleListener,
} from "./config/security.ts";
import { checkSecurity } from "./config/security-checks.ts";
import { showShape } from "./config/show.ts";
import { checkStores } from "./config/store-checks.ts";
import { type MapTree, parseTree, type Substitutions, substituted, type Tree } from "./config/tree.ts";
import type { TableSettings } from "./table/settings.ts";

export interface Config {
  readonly settings: Settings;
  readonly catalogs: ReadonlyMap<string, CatalogSettings>;
  readonly tables: readonly TableSettings[];
  /** At least one; the first is what tools and other brokers are told. */
  readonly listeners: readonly [ListenerSettings, ...ListenerSettings[]];
  readonly sasl: SaslSettings;
  /** Said, but of no effect: for the log. */
  readonly warnings: readonly string[];
  /** Plain data of everything in force, defaults included, secrets masked. */
  readonly shown: unknown;
}

export interface ConfigSources {
  /** Name for messages and text of the YAML file; undefined when there is none. */
  readonly file: { readonly name: string; readonly text: string } | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Flags as typed, "--kafka-port", to their values. */
  readonly flags: ReadonlyMap<string, string>;
  /** The text of a file that ${file:/path} names; undefined when it cannot be read. */
  readFile(path: string): string | undefined;
  /** Whether everybody on the machine may read it. Left out where files are not on a disk. */
  isOpenToAll?(path: string): boolean;
}

/** Far above any real file; a bound against a mistake, not a quota. */
const treeLimits = { nodesMax: 100_000, depthMax: 32 };

/** In the working directory; used when it is there and no other is named. */
export const defaultFile = "inlet.yaml";

/** Reads the file and the environment of this process. Throws ConfigRefused with everything that is wrong. */
export function loadConfig(options: {
  readonly file: string | undefined;
  readonly flags: ReadonlyMap<string, string>;
}): Config {
  const file = options.file ?? process.env.INLET_CONFIG ?? (existsSync(defaultFile) ? defaultFile : undefined);
  return readConfig({
    file: file === undefined ? undefined : { name: file, text: readConfigFile(file) },
    environment: process.env,
    flags: options.flags,
    readFile: readText,
    isOpenToAll,
  });
}

/** Throws ConfigRefused with everything that is wrong. */
export function readConfig(sources: ConfigSources): Config {
  const problems: Problem[] = [];
  const secretFiles = new Set<string>();
  const substitutions: Substitutions = {
    environment: (name) => (Object.hasOwn(sources.environment, name) ? sources.environment[name] : undefined),
    file: (path) => {
      secretFiles.add(path);
      return sources.readFile(path)?.replace(/\r?\n$/, ""); // Editors and `kubectl create secret` end files with a line break.
    },
  };
  const parsed = parseTree(sources.file?.text ?? "", sources.file?.name ?? "inlet.yaml", substitutions, treeLimits);
  problems.push(...parsed.problems);
  const tree = parsed.tree;
  const unknown = overlay(tree, sources, substitutions, problems);

  readShape(fileShape, tree, "", problems);
  const lake = readLake(tree);
  const { catalogs } = lake;
  const tables = [...readShape(topicsShape, childOrEmpty(tree, "topics"), "topics", [])].map(([topic, value]) =>
    tableSettings(topic, value, lake),
  );
  problems.push(...checkLake(catalogs, tables, tree));
  const settings = readSettings(tree);
  problems.push(...checkStores(settings, tree));
  const listeners = readListeners(tree, settings);
  const sasl = saslSettings(readShape(saslShape, childOrEmpty(tree, "sasl"), "sasl", []));
  problems.push(...checkSecurity(listeners, sasl, tree));
  problems.push(...checkPorts(settings, listeners, tree));
  if (problems.length > 0) throw new ConfigRefused(sortProblems(problems));
  for (const { tls } of listeners) if (tls.key !== "") secretFiles.add(tls.key);
  if (sasl.usersFile !== null) secretFiles.add(sasl.usersFile);
  const warnings = [...unknown, ...openFiles(secretFiles, sources)];
  return { settings, catalogs, tables, listeners, sasl, warnings, shown: showShape(fileShape, tree) };
}

/** Lays variables and flags over the file, so that one reading sees the strongest of each. Returns warnings. */
function overlay(
  tree: MapTree,
  sources: ConfigSources,
  substitutions: Substitutions,
  problems: Problem[],
): readonly string[] {
  const put = (key: string, value: string, origin: Origin): void =>
    putAt(tree, key.split("."), substituted(value, origin, substitutions, problems));
  const settings = settingRows.map(([, setting]) => setting);
  for (const setting of settings) {
    const variable = variableOf(setting);
    const value = Object.hasOwn(sources.environment, variable) ? sources.environment[variable] : undefined;
    if (value !== undefined) put(setting.key, value, { kind: "environment", variable });
  }
  for (const [flag, value] of sources.flags) {
    const setting = settings.find((each) => flagOf(each) === flag);
    const origin: Origin = { kind: "flag", flag };
    if (setting !== undefined) put(setting.key, value, origin);
    else {
      const fix = didYouMean(flag, settings.map(flagOf)) ?? "see docs/config.md";
      problems.push({ origin, message: "there is no such setting", fix });
    }
  }
  return unknownVariables(sources.environment, settings.map(variableOf));
}

/**
 * Only a warning: an orchestrator sets INLET_PORT and INLET_SERVICE_HOST for a service of that name, and means nothing by it.
 * INLET_USER and INLET_PASSWORD are for the commands that ask a broker.
 */
function unknownVariables(environment: ConfigSources["environment"], known: readonly string[]): readonly string[] {
  return Object.keys(environment)
    .filter((name) => /^INLET_(?!(CONFIG|USER|PASSWORD)$|SERVICE_|PORT(_|$))/.test(name) && !known.includes(name))
    .map((name) => `${name} is no setting; ${didYouMean(name, known) ?? "it is ignored"}`);
}

/** Only a warning: Kubernetes mounts secrets so, unless it is told otherwise, where nobody else looks. */
function openFiles(secretFiles: ReadonlySet<string>, sources: ConfigSources): readonly string[] {
  return [...secretFiles]
    .filter((path) => sources.isOpenToAll?.(path) === true)
    .map((path) => `everybody on this machine may read ${path}, which holds a secret: chmod 600 ${path}`);
}

function putAt(map: MapTree, path: readonly string[], value: Tree): void {
  const [key, ...rest] = path;
  const entry = map.entries.get(key as string);
  if (rest.length === 0) {
    map.entries.set(key as string, { keyOrigin: value.origin, tree: value });
    return;
  }
  if (entry?.tree.kind === "map") {
    putAt(entry.tree, rest, value);
    return;
  }
  // Nothing there, or something that the file should not have said there: the reading reports only what is in force.
  const made: MapTree = { kind: "map", entries: new Map(), origin: value.origin };
  map.entries.set(key as string, { keyOrigin: value.origin, tree: made });
  putAt(made, rest, value);
}

/** Without reporting: readShape over the whole file has done so. */
function readSettings(tree: MapTree): Settings {
  const values = settingRows.map(([name, setting]) => {
    const found = setting.key
      .split(".")
      .reduce<Tree | undefined>((at, key) => (at?.kind === "map" ? at.entries.get(key)?.tree : undefined), tree);
    const absent: Tree = { kind: "scalar", value: null, written: "", isSubstituted: false, origin: tree.origin };
    return [name, readShape(shapeOf(setting), found ?? absent, setting.key, [])] as const;
  });
  return Object.fromEntries(values) as unknown as Settings;
}

function readListeners(tree: MapTree, settings: Settings): Config["listeners"] {
  const named = readShape(listenersShape, childOrEmpty(tree, "listeners"), "listeners", []);
  const [first, ...more] = Array.from(named, ([name, value]) => listenerSettings(name, value));
  return first === undefined ? [simpleListener(settings)] : [first, ...more];
}

function readLake(tree: MapTree) {
  const { catalogs, tables } = readShape(lakeShape, childOrEmpty(tree, "lake"), "lake", []);
  const named = [...catalogs].map(([name, value]) => [name, catalogSettings(name, value)] as const);
  const main = ["main", { type: "embedded" }] as const;
  return { catalogs: new Map<string, CatalogSettings>(named.length === 0 ? [main] : named), tables };
}

function childOrEmpty(tree: MapTree, key: string): Tree {
  return tree.entries.get(key)?.tree ?? { kind: "map", entries: new Map(), origin: tree.origin };
}

function readConfigFile(file: string): string {
  const text = readText(file);
  if (text !== undefined) return text;
  const origin: Origin = { kind: "file", file, line: 1, column: 1 };
  throw new ConfigRefused([
    { origin, message: "the file cannot be read", fix: `run "inlet init ${file}" to make one` },
  ]);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    // Absence, a directory, missing rights: for the caller all are one answer, and the message names the path.
    if (cause instanceof Error && "code" in cause) return undefined;
    throw cause;
  }
}

function isOpenToAll(path: string): boolean {
  if (process.platform === "win32") return false; // Its rights are not in the mode.
  try {
    return (statSync(path).mode & 0o004) !== 0;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause) return false; // Whoever reads it says why it cannot be.
    throw cause;
  }
}

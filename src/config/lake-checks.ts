/** What must hold between catalogs, topics and tables. Pure: settings in, problems out. */
import type { TableSettings } from "../table/settings.ts";
import { catalogProblems, nameProblem } from "./catalog-checks.ts";
import type { CatalogSettings } from "./catalogs.ts";
import { overrideProblems } from "./column-overrides.ts";
import { modeProblems } from "./mode-checks.ts";
import { didYouMean, originText, type Problem } from "./problem.ts";
import { templateWords, unknownWord } from "./table-name.ts";
import { locate, type Tree } from "./tree.ts";

/** Kafka's rule for topic names (org.apache.kafka.common.internals.Topic). */
const topicName = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/;

export function checkLake(
  catalogs: ReadonlyMap<string, CatalogSettings>,
  tables: readonly TableSettings[],
  tree: Tree,
): readonly Problem[] {
  const checker = new Checker(tree, catalogs);
  for (const [name, catalog] of catalogs) checker.checkCatalog(name, catalog);
  for (const table of tables) {
    checker.checkTopic(table);
    checker.checkMessage(table);
    checker.checkReference(table, [...catalogs.keys()]);
    checker.checkNames(table);
    checker.checkPartitions(table);
    checker.checkDeadLetterTopic(table, tables);
    for (const { at, message, fix } of [...modeProblems(table), ...overrideProblems(table)])
      checker.report(["topics", table.topic, ...at], `topics.${table.topic}: ${message}`, fix);
  }
  return checker.problems;
}

class Checker {
  readonly problems: Problem[] = [];
  readonly #tree: Tree;
  readonly #catalogs: ReadonlyMap<string, CatalogSettings>;
  /** Catalog and full name, lower-cased as many catalogs do → who took it. */
  readonly #taken = new Map<string, { readonly topic: string; readonly path: readonly string[] }>();

  constructor(tree: Tree, catalogs: ReadonlyMap<string, CatalogSettings>) {
    this.#tree = tree;
    this.#catalogs = catalogs;
  }

  checkCatalog(name: string, catalog: CatalogSettings): void {
    const path = ["lake", "catalogs", name];
    const isSaid = (below: readonly string[]): boolean => this.#has([...path, ...below]);
    for (const problem of catalogProblems(name, catalog, isSaid))
      this.report([...path, ...problem.path], problem.message, problem.fix);
  }

  checkTopic(table: TableSettings): void {
    if (topicName.test(table.topic)) return;
    const fix = "use letters, digits, dots, underscores and dashes, 249 at most";
    this.report(["topics", table.topic], `"${table.topic}" is no name for a topic`, fix);
  }

  checkMessage(table: TableSettings): void {
    for (const part of ["key", "value"] as const) {
      const path = ["topics", table.topic, part, "message"];
      if (table[part].latest !== undefined || !this.#has(path)) continue;
      const message = `${path.join(".")} says nothing to ${part}.decode: ${table[part].decode}`;
      this.report(path, message, "say decode: latest, or leave it out: other records name their messages");
    }
  }

  checkReference(table: TableSettings, names: readonly string[]): void {
    if (names.includes(table.catalog)) return;
    const path = ["topics", table.topic, "table", "catalog"];
    if (table.catalog === "")
      this.report(path, `topics.${table.topic}.table.catalog is missing`, `say one of ${names.join(", ")}`);
    else {
      const fix = didYouMean(table.catalog, names) ?? `add it to lake.catalogs, or say one of ${names.join(", ")}`;
      this.report(path, `there is no catalog "${table.catalog}"`, fix);
    }
  }

  checkNames(table: TableSettings): void {
    const path = ["topics", table.topic, "table", "name"];
    const parts = [...table.namespace, table.table];
    const word = unknownWord(parts.join("."));
    if (word !== undefined)
      this.report(
        path,
        `${word} stands for nothing in the name of a table`,
        `write one of ${templateWords.join(", ")}`,
      );
    else if (/__g\d+$/.test(table.table))
      this.report(path, `${table.table} is what the table of a recreated topic is called`, "give it another name");
    else if (parts.length < 2 || parts.includes(""))
      this.report(path, `"${parts.join(".")}" must be a namespace and a name`, "write namespace.name");
    else if (this.#isMisnamed(table, table.table, path)) return;
    else if (!this.#take(table, table.table, path)) return; // Their dead-letter tables collide too: said once.
    if (table.errors.policy !== "dlq") return;
    const deadLetterPath = ["topics", table.topic, "errors", "dlq", "table"];
    if (table.errors.deadLetterTable.includes("."))
      this.report(
        deadLetterPath,
        "the dead-letter table lives in the table's namespace",
        "write the name without dots",
      );
    else if (/__g\d+$/.test(table.errors.deadLetterTable)) {
      const message = `${table.errors.deadLetterTable} is what the dead-letter table of a recreated topic is called`;
      this.report(deadLetterPath, message, "give it another name");
    } else if (!this.#isMisnamed(table, table.errors.deadLetterTable, deadLetterPath))
      this.#take(table, table.errors.deadLetterTable, deadLetterPath);
  }

  checkDeadLetterTopic(table: TableSettings, tables: readonly TableSettings[]): void {
    const { deadLetterTopic: name } = table.errors;
    if (name === undefined) return;
    const path = ["topics", table.topic, "errors", "dlq", "topic"];
    if (!topicName.test(name)) {
      const fix = "use letters, digits, dots, underscores and dashes, 249 at most";
      this.report(path, `"${name}" is no name for a topic`, fix);
    } else if (tables.some((other) => other.topic === name && other.errors.deadLetterTopic !== undefined)) {
      // Letters of letters would go round without end.
      this.report(path, `topic ${name} has a topic of dead letters itself`, "name a topic that has none");
    }
  }

  checkPartitions(table: TableSettings): void {
    const path = ["topics", table.topic, "layout", "partition_by"];
    const seen = new Set<string>();
    for (const { column, transform } of table.partitionBy) {
      if (transform === "void") continue; // Stands for a field that was refused where it was read.
      const field = `${column} ${transform.replace(/\[.*/, "")}`;
      if (seen.has(field)) this.report(path, `${column} is partitioned by ${transform} twice`, "keep one of them");
      seen.add(field);
      const prefix = `${table.metadataPrefix}_`;
      const metadata = column.startsWith(prefix) ? column.slice(prefix.length) : undefined;
      if (metadata === undefined || table.metadataColumns.some((each) => each === metadata)) continue;
      const known = table.metadataColumns.map((each) => `${prefix}${each}`);
      const fix = didYouMean(column, known) ?? "add it to columns.metadata.include";
      this.report(path, `the table has no metadata column ${column}`, fix);
    }
  }

  #isMisnamed(table: TableSettings, name: string, path: readonly string[]): boolean {
    const problem = nameProblem(this.#catalogs.get(table.catalog), table.namespace, name);
    if (problem !== undefined) this.report(path, problem.message, problem.fix);
    return problem !== undefined;
  }

  #take(table: TableSettings, name: string, path: readonly string[]): boolean {
    const fullName = [...table.namespace, name].join(".");
    const key = `${table.catalog} ${fullName.toLowerCase()}`;
    const taken = this.#taken.get(key);
    if (taken === undefined) {
      this.#taken.set(key, { topic: table.topic, path });
      return true;
    }
    const where = originText(locate(this.#tree, taken.path));
    this.report(
      path,
      `table ${fullName} of topic ${table.topic} is already that of topic ${taken.topic} (${where})`,
      "give one of them another name",
    );
    return false;
  }

  #has(path: readonly string[]): boolean {
    let tree: Tree | undefined = this.#tree;
    for (const key of path) tree = tree?.kind === "map" ? tree.entries.get(key)?.tree : undefined;
    return tree !== undefined && !(tree.kind === "scalar" && tree.value === null);
  }

  report(path: readonly string[], message: string, fix: string): void {
    this.problems.push({ origin: locate(this.#tree, path), message, fix });
  }
}

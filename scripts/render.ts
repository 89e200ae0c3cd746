/** Writes what is rendered from the tables of settings, APIs and types. With --check it writes nothing and fails when a file is stale. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { renderCompatibility } from "../interop/differential/compatibility.ts";
import { renderDocs, renderJsonSchema } from "../src/config/render.ts";
import { renderTypes } from "./render-types.ts";

const root = resolve(import.meta.dirname, "..");
const rendered: Readonly<Record<string, string>> = {
  "schemas/inlet.schema.json": renderJsonSchema(),
  "docs/config.md": renderDocs(),
  "docs/compatibility.md": renderCompatibility(),
  "docs/types.md": renderTypes(),
};

const isCheck = process.argv.includes("--check");
for (const [name, text] of Object.entries(rendered)) {
  const path = join(root, name);
  if (!isCheck) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`wrote ${name}`);
  } else if (read(path) !== text) {
    console.error(`${name} is stale: run node scripts/render.ts`);
    process.exitCode = 1;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw cause;
  }
}

/** Proves: Confluent's registry client and serializers for Python find here what they find in Confluent's registry. Under a minute. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { command, python, versions } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-registry-"));
let broker: InletBroker;

beforeAll(async () => {
  broker = await startInlet({ directory, config: {} });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test("schemas, references, metadata, contexts, modes, GUIDs in headers, deletions and errors", async () => {
  const bin = await python("registry", [
    `confluent-kafka[avro,json,schemaregistry]==${versions.confluentKafka}`,
    `jsonschema==${versions.jsonschema}`,
  ]);
  const output = await command(join(bin, "python"), [join(import.meta.dirname, "registry_python.py"), broker.registry]);
  const line = output.split("\n").find((each) => each.startsWith("ANSWER "));
  expect(JSON.parse((line as string).slice("ANSWER ".length))).toEqual({
    register: [1, 1, 1],
    guid: true,
    types: ["AVRO", "JSON", "PROTOBUF"],
    uses: [["s"], [1]],
    incompatible: [false, "error 40901"],
    metadata: 2,
    config: ["FULL", "error 40408"],
    mode: ["READONLY", "error 42205"],
    avro: { r: { a: 2 ** 53 } }, // As JSON.parse has it here; Python read 2^53 + 1.
    "referenced by": [[4], "error 42206"],
    json: { at: { x: 7 } },
    header: ["8280808080808020", { a: 2 ** 53 }],
    context: [1, [":.team:s"], [".", ".team"]],
    delete: [[1], "error 40404", [1], "error 40401"],
  });
}, 300_000);

/** Proves: records that another registry wrote are understood, and records that are none throw CorruptData. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../src/base/errors.ts";
import type { RegistryRecord } from "../../src/registry/registry-record.ts";
import { Subjects } from "../../src/registry/subjects.ts";

function apply(subjects: Subjects, record: RegistryRecord): void {
  subjects.apply({ ...record, timestampMs: 0 });
}

describe("records of Confluent's registry", () => {
  test("with keys in another order, newer fields and unknown kinds", () => {
    const subjects = new Subjects();
    apply(subjects, { key: '{"magic":0,"keytype":"NOOP"}', value: null });
    apply(subjects, {
      key: '{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}',
      value:
        '{"subject":"s","version":1,"id":5,"md5":"x","schema":"\\"int\\"","deleted":false,"ruleSet":null,"guid":"y","ts":1}',
    });
    apply(subjects, {
      key: '{"keytype":"SCHEMA","subject":"p","version":1,"magic":1}',
      value: '{"subject":"p","version":1,"id":6,"schemaType":"PROTOBUF","schema":"syntax","deleted":false}',
    });
    apply(subjects, { key: '{"keytype":"EXPORTER","name":"e","magic":0}', value: "{}" });
    apply(subjects, {
      key: '{"keytype":"CONFIG","subject":"s","magic":0}',
      value: '{"compatibilityLevel":"FULL","subject":"s"}',
    });
    expect(subjects.version("s", "latest", { withDeleted: false })).toMatchObject({ id: 5, schemaType: "AVRO" });
    expect(subjects.ids(".").byId(6)).toMatchObject([{ schemaType: "PROTOBUF" }]);
    expect([subjects.config("s")?.compatibilityLevel, subjects.ids(".").idMax, subjects.count]).toEqual(["FULL", 6, 2]);
  });

  test("DELETE_SUBJECT deletes up to its version, not what came later", () => {
    const subjects = new Subjects();
    const schema = (version: number) => ({
      key: `{"keytype":"SCHEMA","subject":"s","version":${version},"magic":1}`,
      value: `{"subject":"s","version":${version},"id":${version},"schema":"\\"int\\"","deleted":false}`,
    });
    for (const version of [1, 2, 3]) apply(subjects, schema(version));
    apply(subjects, {
      key: '{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}',
      value: '{"subject":"s","version":2}',
    });
    expect(subjects.versions("s", { withDeleted: false }).map(({ version }) => version)).toEqual([3]);
  });
});

describe("bytes from outside", () => {
  test("any texts are applied or CorruptData", () => {
    const keytype = fc.constantFrom("SCHEMA", "CONFIG", "MODE", "DELETE_SUBJECT", "NOOP", "X");
    const fields = fc.record(
      {
        keytype,
        subject: fc.oneof(fc.string(), fc.constant(null)),
        version: fc.oneof(fc.integer(), fc.string()),
        id: fc.integer(),
        schema: fc.string(),
        references: fc.jsonValue(),
        idMax: fc.jsonValue(),
        contexts: fc.jsonValue(),
        metadata: fc.jsonValue(),
        ruleSet: fc.jsonValue(),
        overrideMetadata: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const part = fc.oneof(
      fields.map((value) => JSON.stringify(value)),
      fc.json(),
      fc.string(),
    );
    fc.assert(
      fc.property(part, fc.oneof(part, fc.constant(null)), (key, value) => {
        try {
          apply(new Subjects(), { key, value });
        } catch (cause) {
          expect(cause).toBeInstanceOf(CorruptData);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

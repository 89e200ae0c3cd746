import { KiB, MiB, setting } from "../../src/base/settings.ts";

export const registry = {
  registryEnabled: setting({
    key: "registry.enabled",
    type: "boolean",
    default: true,
    doc: "Whether this broker serves the Schema Registry API.",
  }),
  registryHost: setting({
    key: "registry.host",
    type: "string",
    default: "127.0.0.1",
    doc: "Address that the Schema Registry binds.",
  }),
  registryPort: setting({
    key: "registry.port",
    type: "integer",
    default: 8081,
    min: 0,
    max: 65535,
    doc: "Port of the Schema Registry; 0 takes a free one.",
  }),
  registryCompatibility: setting({
    key: "registry.compatibility",
    type: "string",
    default: "BACKWARD",
    oneOf: ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"],
    doc: "Compatibility level of subjects that have none of their own and no global one was put.",
  }),
  registryTablesCheck: setting({
    key: "registry.tables.check",
    type: "boolean",
    default: true,
    doc: "Whether a schema is refused that the table of its subject's topic could not take.",
  }),
  registrySchemaBytesMax: setting({
    key: "registry.schema.bytes.max",
    type: "bytes",
    default: 1 * MiB,
    min: 1 * KiB,
    max: 16 * MiB,
    doc: "Largest schema text that is accepted.",
  }),
  registrySchemasMax: setting({
    key: "registry.schemas.max",
    type: "integer",
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: "Most subject versions kept, deleted ones included; registration past it is refused.",
  }),
};

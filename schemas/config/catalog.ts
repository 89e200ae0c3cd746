import { setting } from "../../src/base/settings.ts";

export const catalog = {
  catalogHost: setting({
    key: "catalog.host",
    type: "string",
    default: "127.0.0.1",
    doc: "Address that the embedded Iceberg REST catalog binds.",
  }),
  catalogPort: setting({
    key: "catalog.port",
    type: "integer",
    default: 8181,
    min: 0,
    max: 65535,
    doc: "Port of the embedded Iceberg REST catalog; 0 takes a free one.",
  }),
  catalogWarehouse: setting({
    key: "catalog.warehouse",
    type: "string",
    default: "",
    doc: "URI under which the embedded catalog places tables; empty means `warehouse` beside the objects.",
  }),
  catalogToken: setting({
    key: "catalog.token",
    type: "string",
    default: "",
    secret: true,
    doc: "Bearer token that clients of the embedded catalog must show; empty lets in whoever reaches its port.",
  }),
  catalogVendedAccessKey: setting({
    key: "catalog.vended.access.key",
    type: "string",
    default: "",
    doc: "Access key of readers, given to every client of the embedded catalog; empty gives none. Never the broker's own.",
  }),
  catalogVendedSecretKey: setting({
    key: "catalog.vended.secret.key",
    type: "string",
    default: "",
    secret: true,
    doc: "Secret key that belongs to catalog.vended.access.key.",
  }),
  catalogMetadataEntriesMax: setting({
    key: "catalog.metadata.entries.max",
    type: "integer",
    default: 100,
    min: 0,
    max: 100_000,
    doc: "Parsed table metadata files that the embedded catalog keeps in memory.",
  }),
  catalogCommitAttemptsMax: setting({
    key: "catalog.commit.attempts.max",
    type: "integer",
    default: 4,
    min: 1,
    max: 100,
    doc: "How often the embedded catalog tries a commit that lost a race and whose requirements still hold.",
  }),
};

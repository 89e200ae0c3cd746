/** The block `lake.catalogs`: what each kind of catalog takes, and what becomes of it. */
import type { JdbcCatalogSettings } from "../../catalogs/jdbc.ts";
import type { RestCatalogSettings } from "../../catalogs/rest.ts";
import type { RestAuth } from "../../catalogs/rest-auth.ts";
import { object, oneOf, optionalText, record, text, type ValueOf, variant } from "./shape.ts";

/** Catalogs that keep no files of their own leave the place of new tables to us. */
const warehouseRoot = optionalText({
  doc: "URI below which new tables are placed (s3://bucket/path); null is the broker's own, catalog.warehouse.",
});

export const catalogShape = variant("An Iceberg catalog.", {
  rest: object(
    "A catalog that speaks the Iceberg REST protocol.",
    {
      uri: text({ doc: "Base URL of the catalog, without /v1." }),
      warehouse: optionalText({ doc: "Warehouse to ask the catalog for; null lets it choose." }),
      auth: object("Who we are to the catalog. Neither: no authentication.", {
        token: optionalText({ isSecret: true, doc: "A bearer token." }),
        oauth2: object("OAuth 2 client credentials.", {
          token_uri: text({ default: "", doc: "Token endpoint of the authorization server." }),
          client_id: text({ default: "", doc: "Id of the client." }),
          client_secret: text({ default: "", isSecret: true, doc: "Secret of the client." }),
          scope: text({ default: "catalog", doc: "Scope to ask for." }),
        }),
      }),
      access_delegation: oneOf(["none", "vended-credentials", "remote-signing"], {
        default: "none",
        doc: "How the catalog is asked to let us reach the files; none: with our own credentials.",
      }),
      properties: record(
        "Properties of the client: prefix, header.<name> and the like.",
        "property",
        text({ default: "", doc: "Value of the property." }),
      ),
    },
    ["sigv4"],
  ),
  jdbc: object("Iceberg's JDBC catalog: tables in PostgreSQL or SQLite, as Java and PyIceberg (type sql) keep them.", {
    uri: text({
      isSecret: true,
      doc: "postgres://user:password@host:5432/database, or sqlite:/path/of/the/file.",
    }),
    catalog_name: optionalText({
      doc: "Name of the catalog in its tables, which other clients must use too; null is the name here.",
    }),
    warehouse: warehouseRoot,
  }),
  embedded: object("The catalog inside this broker.", {}),
});

/** Of catalogs whose tables are placed by us; null: below the broker's own warehouse. */
interface Placing {
  readonly warehouse: string | null;
}

export type CatalogSettings =
  | { readonly type: "embedded" }
  | ({ readonly type: "rest" } & RestCatalogSettings)
  | ({ readonly type: "jdbc" } & JdbcCatalogSettings & Placing);

export function catalogSettings(name: string, value: ValueOf<typeof catalogShape>): CatalogSettings {
  switch (value.type) {
    case "rest":
      return {
        type: "rest",
        name,
        uri: value.uri.replace(/\/+$/, "").replace(/\/v1$/, ""),
        warehouse: value.warehouse,
        auth: authOf(value.auth),
        accessDelegation: value.access_delegation === "none" ? null : value.access_delegation,
        properties: value.properties,
      };
    case "jdbc":
      return {
        type: "jdbc",
        name,
        uri: value.uri,
        catalogName: value.catalog_name ?? name,
        warehouse: value.warehouse,
      };
    case "embedded":
      return { type: "embedded" };
  }
  return { type: "embedded" }; // Stands for a kind that was refused where it was read.
}

type AuthValue = Extract<ValueOf<typeof catalogShape>, { readonly type: "rest" }>["auth"];

function authOf({ token, oauth2 }: AuthValue): RestAuth {
  if (token !== null) return { kind: "bearer", token };
  if (oauth2.client_id === "") return { kind: "none" };
  return {
    kind: "oauth2",
    tokenUri: oauth2.token_uri,
    clientId: oauth2.client_id,
    clientSecret: oauth2.client_secret,
    scope: oauth2.scope,
  };
}

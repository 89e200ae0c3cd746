/** The block `lake.catalogs`: what each kind of catalog takes, and what becomes of it. */
import type { AwsCredentials } from "../../catalogs/aws.ts";
import type { GlueCatalogSettings } from "../../catalogs/glue.ts";
import type { HmsCatalogSettings } from "../../catalogs/hms.ts";
import { hmsAddresses } from "../../catalogs/hms-address.ts";
import type { JdbcCatalogSettings } from "../../catalogs/jdbc.ts";
import type { RestCatalogSettings } from "../../catalogs/rest.ts";
import type { RestAuth } from "../../catalogs/rest-auth.ts";
import type { S3TablesCatalogSettings } from "../../catalogs/s3tables.ts";
import { object, oneOf, optionalText, record, text, type ValueOf, variant } from "./shape.ts";

/** Catalogs that keep no files of their own leave the place of new tables to us. */
const warehouseRoot = optionalText({
  doc: "URI below which new tables are placed (s3://bucket/path); null is the broker's own, catalog.warehouse.",
});

const awsCredentials = object("Who we are to AWS. Nothing said: environment, profile, web identity, instance.", {
  profile: optionalText({ doc: "A profile of the shared configuration files." }),
  access_key: optionalText({ doc: "Id of an access key." }),
  secret_key: optionalText({ isSecret: true, doc: "Secret of the access key." }),
  session_token: optionalText({ isSecret: true, doc: "Session token that belongs to the access key." }),
});

export const catalogShape = variant("An Iceberg catalog.", {
  rest: object("A catalog that speaks the Iceberg REST protocol.", {
    uri: text({ doc: "Base URL of the catalog, without /v1." }),
    warehouse: optionalText({ doc: "Warehouse to ask the catalog for; null lets it choose." }),
    auth: object("Who we are to the catalog. Nothing said: no authentication.", {
      token: optionalText({ isSecret: true, doc: "A bearer token." }),
      oauth2: object("OAuth 2 client credentials.", {
        token_uri: text({ default: "", doc: "Token endpoint of the authorization server." }),
        client_id: text({ default: "", doc: "Id of the client." }),
        client_secret: text({ default: "", isSecret: true, doc: "Secret of the client." }),
        scope: text({ default: "catalog", doc: "Scope to ask for." }),
      }),
      sigv4: object("AWS's Signature Version 4 on each request.", {
        service: text({ default: "", doc: "Name that is signed for: glue, s3tables, execute-api." }),
        region: text({ default: "", doc: "Region that is signed for." }),
        credentials: awsCredentials,
      }),
    }),
    properties: record(
      "Properties of the client: prefix, header.<name> and the like.",
      "property",
      text({ default: "", doc: "Value of the property." }),
    ),
    access_delegation: oneOf(["none", "vended-credentials", "remote-signing"], {
      default: "none",
      doc: "How the catalog is asked to let us reach the files in S3; none, or what it does not lend: with our own credentials.",
    }),
  }),
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
  glue: object("AWS Glue's Data Catalog, as Athena and Redshift read it.", {
    region: optionalText({ doc: "Region of the catalog; null is as the SDK finds it." }),
    endpoint: optionalText({ doc: "URL of another endpoint than the region's." }),
    catalog_id: optionalText({ doc: "Account whose catalog it is; null is that of the credentials." }),
    credentials: awsCredentials,
    warehouse: warehouseRoot,
  }),
  hms: object("A Hive Metastore.", {
    uri: text({ doc: "thrift://host:9083; several, joined by commas, are asked in turn." }),
    lock: oneOf(["hive", "none"], {
      default: "hive",
      doc: "hive locks a table while it is committed; none leaves it to the metastore's comparison, which only Hive 4 makes (HIVE-26882).",
    }),
    transport: oneOf(["buffered", "framed"], {
      default: "buffered",
      doc: "As the metastore's hive.metastore.thrift.framed.transport.enabled says.",
    }),
    user: optionalText({ doc: "Name that is told to a metastore without Kerberos; null tells none." }),
    warehouse: warehouseRoot,
  }),
  s3tables: object("Amazon S3 Tables. The service maintains the tables: nothing is rewritten or expired by us.", {
    arn: text({ doc: "The table bucket: arn:aws:s3tables:region:account:bucket/name." }),
    endpoint: optionalText({ doc: "URL of another endpoint than the region's, without /v1." }),
    credentials: awsCredentials,
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
  | ({ readonly type: "jdbc" } & JdbcCatalogSettings & Placing)
  | ({ readonly type: "glue" } & GlueCatalogSettings & Placing)
  | ({ readonly type: "hms" } & HmsCatalogSettings & Placing)
  | ({ readonly type: "s3tables" } & S3TablesCatalogSettings);

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
    case "glue":
      return {
        type: "glue",
        name,
        region: value.region,
        endpoint: value.endpoint,
        catalogId: value.catalog_id,
        credentials: credentialsOf(value.credentials),
        warehouse: value.warehouse,
      };
    case "hms":
      return {
        type: "hms",
        name,
        addresses: hmsAddresses(value.uri) ?? [],
        isFramed: value.transport === "framed",
        user: value.user,
        isLocking: value.lock === "hive",
        warehouse: value.warehouse,
      };
    case "s3tables":
      return {
        type: "s3tables",
        name,
        arn: value.arn,
        endpoint: value.endpoint,
        credentials: credentialsOf(value.credentials),
      };
    case "embedded":
      return { type: "embedded" };
  }
  return { type: "embedded" }; // Stands for a kind that was refused where it was read.
}

function credentialsOf(value: ValueOf<typeof awsCredentials>): AwsCredentials {
  const { profile, access_key: accessKeyId, secret_key: secretAccessKey, session_token: sessionToken } = value;
  if (profile !== null) return { kind: "profile", profile };
  if (accessKeyId === null || secretAccessKey === null) return { kind: "default" };
  return {
    kind: "static",
    keys: { accessKeyId, secretAccessKey, ...(sessionToken === null ? {} : { sessionToken }) },
  };
}

type AuthValue = Extract<ValueOf<typeof catalogShape>, { readonly type: "rest" }>["auth"];

function authOf({ token, oauth2, sigv4 }: AuthValue): RestAuth {
  if (token !== null) return { kind: "bearer", token };
  const { service, region } = sigv4;
  if (service !== "" || region !== "")
    return { kind: "sigv4", service, region, credentials: credentialsOf(sigv4.credentials) };
  if (oauth2.client_id === "") return { kind: "none" };
  return {
    kind: "oauth2",
    tokenUri: oauth2.token_uri,
    clientId: oauth2.client_id,
    clientSecret: oauth2.client_secret,
    scope: oauth2.scope,
  };
}

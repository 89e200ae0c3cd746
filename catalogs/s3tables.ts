/**
 * Amazon S3 Tables: its own Iceberg REST endpoint, with the table bucket's ARN for a warehouse and each request signed
 * (rule J17). The service places the tables, compacts them and expires their snapshots; we leave that to it.
 */
import type { Catalog } from "../src/table/catalog.ts";
import type { AwsCredentials } from "./aws.ts";
import { open as openRest, type RestCatalogDeps } from "./rest.ts";

export interface S3TablesCatalogSettings {
  readonly name: string;
  /** arn:aws:s3tables:<region>:<account>:bucket/<name> */
  readonly arn: string;
  /** null: that of the ARN's region. */
  readonly endpoint: string | null;
  readonly credentials: AwsCredentials;
}

export function open(settings: S3TablesCatalogSettings, deps: RestCatalogDeps): Catalog {
  const { name, arn, endpoint, credentials } = settings;
  const { region, partition } = tableBucket(arn) ?? { region: "us-east-1", partition: "aws" }; // Checked at the start.
  const domain = partition === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com";
  return openRest(
    {
      name,
      uri: endpoint ?? `https://s3tables.${region}.${domain}/iceberg`,
      warehouse: arn,
      auth: { kind: "sigv4", service: "s3tables", region, credentials },
      accessDelegation: null,
      properties: new Map(),
      isSelfMaintained: true,
    },
    deps,
  );
}

/** undefined when the text is no ARN of a table bucket. */
export function tableBucket(arn: string): { readonly partition: string; readonly region: string } | undefined {
  const match = /^arn:(aws[a-z-]*):s3tables:([a-z0-9-]+):\d{12}:bucket\/[a-z0-9-]{3,63}$/.exec(arn);
  return match === null ? undefined : { partition: match[1] as string, region: match[2] as string };
}

/** What to paste into each query engine to read a table through an Iceberg REST catalog. */
import { unreachable } from "../base/errors.ts";

export const engines = ["duckdb", "spark", "trino", "pyiceberg"] as const;
export type Engine = (typeof engines)[number];

export interface RecipeTarget {
  /** Without /v1. */
  readonly catalogUri: string;
  readonly warehouse: string;
  /** Namespace and name, joined by dots. */
  readonly table: string;
}

export function recipe(engine: Engine, target: RecipeTarget): string {
  switch (engine) {
    case "duckdb":
      return duckdb(target);
    case "spark":
      return spark(target);
    case "trino":
      return trino(target);
    case "pyiceberg":
      return pyiceberg(target);
    default:
      return unreachable(engine);
  }
}

function duckdb({ catalogUri, warehouse, table }: RecipeTarget): string {
  const [namespace, name] = splitName(table);
  return `-- DuckDB 1.4 or newer. For a warehouse on S3 begin with CREATE SECRET (TYPE s3, KEY_ID '...', SECRET '...', ENDPOINT '...');
-- and add ACCESS_DELEGATION_MODE 'none' to ATTACH, unless the catalog hands out keys.
INSTALL iceberg; LOAD iceberg;
ATTACH '${quoted(warehouse)}' AS lake (TYPE iceberg, ENDPOINT '${quoted(catalogUri)}', AUTHORIZATION_TYPE 'none');
SELECT count(*) FROM lake."${namespace}"."${name}";
`;
}

function spark({ catalogUri, warehouse, table }: RecipeTarget): string {
  return `# Spark 4.0
spark-sql \\
  --packages org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.11.0,org.apache.iceberg:iceberg-aws-bundle:1.11.0 \\
  --conf spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions \\
  --conf spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog \\
  --conf spark.sql.catalog.lake.type=rest \\
  --conf spark.sql.catalog.lake.uri=${catalogUri} \\
  --conf spark.sql.catalog.lake.warehouse=${warehouse} \\
  -e 'SELECT count(*) FROM lake.${ticked(table)}'
`;
}

function trino({ catalogUri, warehouse, table }: RecipeTarget): string {
  const [namespace, name] = splitName(table);
  return `# Trino: etc/catalog/lake.properties
connector.name=iceberg
iceberg.catalog.type=rest
iceberg.rest-catalog.uri=${catalogUri}
iceberg.rest-catalog.warehouse=${warehouse}
iceberg.rest-catalog.nested-namespace-enabled=true
# For a warehouse on S3 add: fs.native-s3.enabled=true, s3.endpoint, s3.region, s3.path-style-access=true and the keys.

-- then, in the trino client
SELECT count(*) FROM lake."${namespace}"."${name}";
`;
}

function pyiceberg({ catalogUri, warehouse, table }: RecipeTarget): string {
  return `# pip install "pyiceberg[pyarrow]"
from pyiceberg.catalog.rest import RestCatalog

catalog = RestCatalog("lake", uri=${JSON.stringify(catalogUri)}, warehouse=${JSON.stringify(warehouse)})
table = catalog.load_table(${JSON.stringify(table)})
print(table.scan().to_arrow().num_rows)
`;
}

function splitName(table: string): readonly [namespace: string, name: string] {
  const cut = table.lastIndexOf(".");
  return [table.slice(0, cut), table.slice(cut + 1)];
}

function quoted(text: string): string {
  return text.replaceAll("'", "''");
}

function ticked(table: string): string {
  return table
    .split(".")
    .map((part) => (/^\w+$/.test(part) ? part : `\`${part}\``))
    .join(".");
}

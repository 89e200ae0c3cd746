"""Asks one engine about tables in a REST catalog and prints JSON: engine.py ENGINE < request.json

request: {"uri", "warehouse", "s3": {"endpoint", "access_key", "secret_key", "region"} | null, "namespace",
          "tables": [{"name", "columns": [..], "pruned": {"where", "column", "value"} | null, "maps": [..]}], "jars": [..], "trino": "host:port",
          "settings": ["threads = 1", ..] of DuckDB}
answer:  {"<table>": {"rows", "checksum", "filtered", "metadata": {"snapshots": n, "files": n, ...}}}
"""

import json
import sys

from canonical import arrow_rows, checksum


def pyiceberg_engine(request):
    from pyiceberg.catalog import load_catalog

    s3 = request.get("s3")
    properties = {"type": "rest", "uri": request["uri"], "warehouse": request["warehouse"]}
    if s3:
        properties |= {
            "s3.endpoint": s3["endpoint"],
            "s3.access-key-id": s3["access_key"],
            "s3.secret-access-key": s3["secret_key"],
            "s3.region": s3["region"],
        }
    catalog = load_catalog("main", **properties)
    for spec in request["tables"]:
        table = catalog.load_table((request["namespace"], spec["name"]))
        scan = table.scan(selected_fields=tuple(spec["columns"]))
        answer = checksum(arrow_rows(scan.to_arrow().select(spec["columns"])))
        pruned = spec.get("pruned")
        if pruned:
            filtered = table.scan(row_filter=pruned["where"])
            answer["filtered"] = filtered.to_arrow().num_rows
            answer["filesAll"] = len(list(table.scan().plan_files()))
            answer["filesRead"] = len(list(filtered.plan_files()))
        answer["metadata"] = {
            "snapshots": table.inspect.snapshots().num_rows,
            "files": table.inspect.files().num_rows,
            "manifests": table.inspect.manifests().num_rows,
            "partitions": table.inspect.partitions().num_rows,
            "history": table.inspect.history().num_rows,
        }
        yield spec["name"], answer


def duckdb_engine(request):
    import importlib.util
    import pathlib

    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "httpfs", "iceberg"):
        package = importlib.util.find_spec(f"duckdb_extension_{name}")
        folder = pathlib.Path(package.submodule_search_locations[0])
        binary = next(folder.rglob(f"{name}.duckdb_extension"))
        connection.execute(f"LOAD '{binary}'")
    s3 = request.get("s3")
    if s3:
        endpoint = s3["endpoint"].split("://", 1)[1]
        connection.execute(
            f"CREATE SECRET (TYPE s3, KEY_ID '{s3['access_key']}', SECRET '{s3['secret_key']}', ENDPOINT '{endpoint}', "
            f"URL_STYLE 'path', USE_SSL false, REGION '{s3['region']}')"
        )
    connection.execute("SET TimeZone = 'UTC'")
    for setting in request.get("settings", []):
        connection.execute(f"SET {setting}")
    delegation = "" if request.get("vended") else ", ACCESS_DELEGATION_MODE 'none'"
    connection.execute(f"ATTACH '{request['warehouse']}' AS lake (TYPE iceberg, ENDPOINT '{request['uri']}', AUTHORIZATION_TYPE 'none'{delegation})")
    for spec in request["tables"]:
        name = f"lake.{request['namespace']}.{spec['name']}"
        columns = ", ".join(f'"{column}"' for column in spec["columns"])
        answer = checksum(arrow_rows(connection.execute(f"SELECT {columns} FROM {name}").fetch_arrow_table()))
        if spec.get("pruned"):
            answer["filtered"] = connection.execute(f"SELECT count(*) FROM {name} WHERE {spec['pruned']['where']}").fetchone()[0]
        answer["metadata"] = {
            "snapshots": connection.execute(f"SELECT count(*) FROM iceberg_snapshots({name})").fetchone()[0],
            "files": connection.execute(f"SELECT count(*) FROM iceberg_metadata({name})").fetchone()[0],
        }
        yield spec["name"], answer


def spark_session(request):
    from pyspark.sql import SparkSession

    s3 = request.get("s3")
    builder = SparkSession.builder.master("local[2]").appName("interop")
    settings = {
        "spark.jars": ",".join(request["jars"]),
        "spark.ui.enabled": "false",
        "spark.driver.memory": "2g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.type": "rest",
        "spark.sql.catalog.lake.uri": request["uri"],
        "spark.sql.catalog.lake.warehouse": request["warehouse"],
        "spark.sql.catalog.lake.cache-enabled": "false",
    }
    if s3:
        settings |= {
            "spark.sql.catalog.lake.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            "spark.sql.catalog.lake.s3.endpoint": s3["endpoint"],
            "spark.sql.catalog.lake.s3.path-style-access": "true",
            "spark.sql.catalog.lake.s3.access-key-id": s3["access_key"],
            "spark.sql.catalog.lake.s3.secret-access-key": s3["secret_key"],
            "spark.sql.catalog.lake.client.region": s3["region"],
        }
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def spark_engine(request):
    spark = spark_session(request)
    for spec in request["tables"]:
        name = f"lake.{request['namespace']}.{spec['name']}"
        columns = ", ".join(f"`{column}`" for column in spec["columns"])
        where = f" WHERE {spec['where']}" if spec.get("where") else ""
        answer = checksum(arrow_rows(spark.sql(f"SELECT {columns} FROM {name}{where}").toArrow()))
        if spec.get("pruned"):
            answer["filtered"] = spark.sql(f"SELECT count(*) FROM {name} WHERE {spec['pruned']['where']}").collect()[0][0]
        answer["metadata"] = {
            kind: spark.sql(f"SELECT count(*) FROM {name}.{kind}").collect()[0][0]
            for kind in ("snapshots", "files", "manifests", "partitions", "history", "entries", "refs", "metadata_log_entries")
        }
        if spec.get("example"):
            answer["example"] = [list(row) for row in spark.sql(spec["example"]).collect()]
        yield spec["name"], answer
    spark.stop()


def trino_engine(request):
    import trino

    host, port = request["trino"].split(":")
    connection = trino.dbapi.connect(host=host, port=int(port), user="interop", catalog="lake", schema=request["namespace"])
    cursor = connection.cursor()

    def one(sql):
        cursor.execute(sql)
        return cursor.fetchall()[0][0]

    for spec in request["tables"]:
        maps = spec.get("maps", [])  # The client gives a map as a dict, without its keys' order: as entries it is a list.
        columns = ", ".join(f'map_entries("{column}")' if column in maps else f'"{column}"' for column in spec["columns"])
        cursor.execute(f"SELECT {columns} FROM {spec['name']}")
        answer = checksum(iter(cursor.fetchone, None))
        if spec.get("pruned"):
            answer["filtered"] = one(f"SELECT count(*) FROM {spec['name']} WHERE {spec['pruned']['where']}")
        answer["metadata"] = {
            kind: one(f'SELECT count(*) FROM "{spec["name"]}${kind}"')
            for kind in ("snapshots", "files", "manifests", "partitions", "history", "refs", "properties")
        }
        if spec.get("example"):
            cursor.execute(spec["example"])
            answer["example"] = cursor.fetchall()
        yield spec["name"], answer


if __name__ == "__main__":
    engines = {"pyiceberg": pyiceberg_engine, "duckdb": duckdb_engine, "spark": spark_engine, "trino": trino_engine}
    print("ANSWER " + json.dumps(dict(engines[sys.argv[1]](json.load(sys.stdin)))))

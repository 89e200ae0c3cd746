"""Reads tables with one engine: read.py ENGINE < request.json

request: {"catalogs": {name: {property: text}}, "jobs": [{"id", "catalog", "namespace", "table", "columns": [{"name", "type"}],
          "metadata": where its metadata file is}], "jars": [...], "trino": "host:port"}
         The type is Iceberg's, in JSON.
answer:  {id: {"rows", "checksum", "columns": {name: its own checksum}} | {"error"}}; of the engine "locate" {id: {"metadata"} | {"error"}}
"""

import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))
from canonical import arrow_rows, checksum, conform  # noqa: E402


def quoted(job, mark):
    return ", ".join(f"{mark}{column['name']}{mark}" for column in job["columns"])


def summed(job, rows):
    kinds = [column["type"] for column in job["columns"]]
    conformed = ([conform(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows)
    return checksum(conformed, [column["name"] for column in job["columns"]])


def pyiceberg_table(request, opened, job):
    from pyiceberg.catalog import load_catalog

    name = job["catalog"]
    if name not in opened:
        opened[name] = load_catalog(name, **request["catalogs"][name])
    return opened[name].load_table((job["namespace"], job["table"]))


def locate(request):
    opened = {}
    return lambda job: {"metadata": pyiceberg_table(request, opened, job).metadata_location}


def pyiceberg(request):
    opened = {}

    def read(job):
        names = [column["name"] for column in job["columns"]]
        return summed(job, arrow_rows(pyiceberg_table(request, opened, job).scan(selected_fields=tuple(names)).to_arrow().select(names)))

    return read


def duckdb(request):
    import importlib.util

    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "httpfs", "iceberg"):
        package = importlib.util.find_spec(f"duckdb_extension_{name}")
        folder = pathlib.Path(package.submodule_search_locations[0])
        connection.execute(f"LOAD '{next(folder.rglob(f'{name}.duckdb_extension'))}'")
    connection.execute("SET TimeZone = 'UTC'")
    for name, properties in request["catalogs"].items():  # REST is all that it knows: others' tables are read by their metadata file.
        options = "TYPE iceberg, AUTHORIZATION_TYPE 'none', ACCESS_DELEGATION_MODE 'none'"
        connection.execute(f"ATTACH '{properties.get('warehouse', '')}' AS {name} ({options}, ENDPOINT '{properties['uri']}')")

    def read(job):
        isAttached = job["catalog"] in request["catalogs"]
        table = f"{job['catalog']}.{job['namespace']}.{job['table']}" if isAttached else f"iceberg_scan('{job['metadata']}')"
        return summed(job, arrow_rows(connection.execute(f"SELECT {quoted(job, chr(34))} FROM {table}").fetch_arrow_table()))

    return read


def spark(request):
    from pyspark.sql import SparkSession

    settings = {
        "spark.jars": ",".join(request["jars"]),
        "spark.ui.enabled": "false",
        "spark.driver.memory": "2g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
    }
    for name, properties in request["catalogs"].items():
        settings[f"spark.sql.catalog.{name}"] = "org.apache.iceberg.spark.SparkCatalog"
        settings |= {f"spark.sql.catalog.{name}.{key}": value for key, value in properties.items()}
    builder = SparkSession.builder.master("local[2]").appName("tables")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")

    def read(job):
        table = f"{job['catalog']}.{job['namespace']}.{job['table']}"
        return summed(job, arrow_rows(session.sql(f"SELECT {quoted(job, '`')} FROM {table}").toArrow()))

    return read


def trino(request):
    import trino

    host, port = request["trino"].split(":")
    connection = trino.dbapi.connect(host=host, port=int(port), user="interop")

    def read(job):
        cursor = connection.cursor()
        cursor.execute(f"SELECT {quoted(job, chr(34))} FROM {job['catalog']}.{job['namespace']}.{job['table']}")
        return summed(job, iter(cursor.fetchone, None))

    return read


def answered(read, job):
    try:
        return read(job)
    except Exception as error:  # What an engine cannot do is an answer.
        return {"error": f"{type(error).__name__}: {error}"[:2000]}


if __name__ == "__main__":
    given = json.load(sys.stdin)
    read = {"locate": locate, "pyiceberg": pyiceberg, "duckdb": duckdb, "spark": spark, "trino": trino}[sys.argv[1]](given)
    print("ANSWER " + json.dumps({job["id"]: answered(read, job) for job in given["jobs"]}))

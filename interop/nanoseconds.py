"""Nanoseconds of a table as engines read them: nanoseconds.py <catalog> <warehouse>; prints ANSWER and one JSON object of engine
to pairs of timestamps with and without a zone."""

import json
import sys

import duckdb
from pyiceberg.catalog.rest import RestCatalog

uri, warehouse = sys.argv[1:]
table = RestCatalog("inlet", uri=uri, warehouse=warehouse).load_table("kafka.nanos")


def pyiceberg():
    columns = table.scan().to_arrow().sort_by("local")
    pairs = zip(columns.column("at_zone").cast("int64").to_pylist(), columns.column("local").cast("int64").to_pylist())
    return [[str(zoned), str(local)] for zoned, local in pairs]


def duckdb_files():
    files = [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]
    query = "SELECT epoch_ns(at_zone)::VARCHAR, epoch_ns(local)::VARCHAR FROM read_parquet(?) ORDER BY local"
    return duckdb.execute(query, [files]).fetchall()


print("ANSWER " + json.dumps({"pyiceberg": pyiceberg(), "duckdb": duckdb_files()}))

"""Reads `shop.orders_<kind>` of each catalog with PyIceberg: rows and the sum of n; where "append" names it, adds a row with n = 1,000,000 after that."""

import json
import sys

import pyarrow as pa
from pyiceberg.catalog import load_catalog


def main():
    request = json.load(sys.stdin)
    answers = {}
    for kind, properties in request["catalogs"].items():
        name = properties.pop("name", kind)
        table = load_catalog(name, **properties).load_table(f"shop.orders_{kind}")
        rows = table.scan().to_arrow()
        answers[kind] = {"rows": rows.num_rows, "sum": int(sum(rows["n"].to_pylist()))}
        if kind in request["append"]:
            schema = table.schema().as_arrow()
            row = {field.name: [1_000_000.0 if field.name == "n" else rows[field.name][0].as_py()] for field in schema}
            table.append(pa.table(row, schema=schema))
    json.dump(answers, sys.stdout)


main()

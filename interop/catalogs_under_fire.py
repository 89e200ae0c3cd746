"""Counts `shop.orders_<kind>` and its dead letters in each catalog with PyIceberg: rows, sum and number of distinct n, letters."""

import json
import sys

from pyiceberg.catalog import load_catalog


def main():
    answers = {}
    for kind, properties in json.load(sys.stdin)["catalogs"].items():
        catalog = load_catalog(properties.pop("name", kind), **properties)
        values = catalog.load_table(f"shop.orders_{kind}").scan().to_arrow()["n"].to_pylist()
        letters = catalog.load_table(f"shop.orders_{kind}_dlq").scan().to_arrow()
        answers[kind] = {
            "rows": len(values),
            "sum": int(sum(values)),
            "distinct": len(set(values)),
            "letters": letters.num_rows,
        }
    json.dump(answers, sys.stdout)


main()

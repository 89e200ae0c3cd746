"""Runs SQL statements in Spark, one after another: ddl.py < request.json

request: as engine.py's, with "statements": [sql, ...]
answer:  the rows of each, as lists
"""

import json
import sys

from engine import spark_session


def main():
    request = json.load(sys.stdin)
    spark = spark_session(request)
    answer = [[list(row) for row in spark.sql(statement).collect()] for statement in request["statements"]]
    spark.stop()
    print("ANSWER " + json.dumps(answer, default=str))


main()

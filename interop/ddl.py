"""Runs SQL statements in one Spark for as long as its input lasts: ddl.py

first line:     as engine.py's request
then a line a:  [sql, ...], one after another
answer of each: {"rows": [[...], ...] of each statement} or {"error": text}
"""

import json
import sys

from engine import spark_session


def main():
    spark = spark_session(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        try:
            answer = {"rows": [[list(row) for row in spark.sql(sql).collect()] for sql in json.loads(line)]}
        except Exception as error:
            answer = {"error": str(error)[:4000]}
        print("ANSWER " + json.dumps(answer, default=str), flush=True)
    spark.stop()


main()

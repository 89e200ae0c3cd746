"""Looks after a table as others do, while its writer goes on: maintenance.py < request.json

request: as engine.py's, with "rounds", and "calls": {"<procedure>": options of it} where others than the usual are to be called
answer:  {"<procedure>": {"done": n, "failed": n, "result": the sums of its columns}, ...}
"""

import datetime
import json
import sys

from engine import spark_session


def procedures(table, calls):
    if calls:
        return {call: f"table => '{table}', options => map({options})" for call, options in calls.items()}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
    return {
        "rewrite_data_files": f"table => '{table}', options => map('min-input-files', '2', 'rewrite-all', 'true')",
        "rewrite_manifests": f"table => '{table}'",
        "expire_snapshots": f"table => '{table}', older_than => TIMESTAMP '{now}', retain_last => 2",
    }


def main():
    request = json.load(sys.stdin)
    spark = spark_session(request)
    answer = {}
    names = [table["name"] for table in request["tables"]]
    for name in names * request["rounds"]:
        for call, arguments in procedures(f"lake.{request['namespace']}.{name}", request.get("calls")).items():
            outcome = answer.setdefault(call, {"done": 0, "failed": 0, "errors": [], "result": {}})
            try:
                for row in spark.sql(f"CALL lake.system.{call}({arguments})").collect():
                    for column, value in row.asDict().items():
                        if isinstance(value, int):
                            outcome["result"][column] = outcome["result"].get(column, 0) + value
                outcome["done"] += 1
            except Exception as error:  # Losing every race to the writer is an answer too.
                outcome["failed"] += 1
                outcome["errors"].append(str(error)[:300])
    spark.stop()
    print("ANSWER " + json.dumps(answer))


main()

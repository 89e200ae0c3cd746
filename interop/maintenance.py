"""Looks after tables as others do, while their writer goes on: maintenance.py < request.json

request: as engine.py's, with "rounds", or with "seconds": then every procedure is called again and again for so long, all at once;
         "calls": {"<procedure>": options of it} or null, where others than the usual are to be called
answer:  {"<procedure>": {"done": n, "failed": n, "errors": [..], "result": the sums of its columns}, ...}
"""

import datetime
import json
import sys
import threading
import time

from engine import spark_session


def timestamp(age=datetime.timedelta()):
    moment = datetime.datetime.now(datetime.timezone.utc) - age
    return f"TIMESTAMP '{moment.strftime('%Y-%m-%d %H:%M:%S.%f')}'"


USUAL = {
    "rewrite_data_files": lambda: "options => map('min-input-files', '2', 'rewrite-all', 'true')",
    "rewrite_manifests": lambda: "",
    "expire_snapshots": lambda: f"older_than => {timestamp()}, retain_last => 2",
}
# Spark refuses to take what is younger than a day for an orphan.
ORPHANS = {"remove_orphan_files": lambda: f"older_than => {timestamp(datetime.timedelta(hours=25))}"}


def call(spark, table, procedure, options, outcome):
    arguments = ", ".join(part for part in (f"table => '{table}'", options()) if part)
    try:
        rows = spark.sql(f"CALL lake.system.{procedure}({arguments})").collect()
    except Exception as error:  # Losing every race to the writer is an answer too.
        outcome["failed"] += 1
        outcome["errors"].append(str(error)[:300])
        return
    for row in rows:
        for column, value in row.asDict().items():
            count = value if isinstance(value, int) else 1
            outcome["result"][column] = outcome["result"].get(column, 0) + count
    outcome["done"] += 1


def main():
    request = json.load(sys.stdin)
    spark = spark_session(request)
    known = USUAL | ORPHANS
    procedures = known if "seconds" in request else USUAL
    if request.get("calls"):
        procedures = {
            name: known[name] if options is None else (lambda text=options: f"options => map({text})")
            for name, options in request["calls"].items()
        }
    answer = {name: {"done": 0, "failed": 0, "errors": [], "result": {}} for name in procedures}
    tables = [f"lake.{request['namespace']}.{table['name']}" for table in request["tables"]]

    def again_and_again(table, procedure, options, until):
        while True:
            call(spark, table, procedure, options, answer[procedure])
            if time.monotonic() >= until:
                return

    if "seconds" in request:
        until = time.monotonic() + request["seconds"]
        work = [(table, name, options, until) for table in tables for name, options in procedures.items()]
        threads = [threading.Thread(target=again_and_again, args=each) for each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        for table in tables * request["rounds"]:
            for name, options in procedures.items():
                call(spark, table, name, options, answer[name])
    spark.stop()
    print("ANSWER " + json.dumps(answer))


main()

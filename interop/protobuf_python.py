"""Protobuf through Confluent's own serializer, and what engines read of it.

protobuf_python.py produce BOOTSTRAP REGISTRY TOPIC COUNT   compiles two .proto files, produces, prints what was sent
protobuf_python.py read CATALOG NAMESPACE TABLE             prints the rows that PyIceberg and DuckDB read
"""

import datetime
import json
import pathlib
import sys
import tempfile

COMMON = """syntax = "proto3"; package shop;
import "google/protobuf/timestamp.proto";
message Money { string currency = 1; int64 units = 2; google.protobuf.Timestamp fixed_at = 3; }
"""
ORDER = """syntax = "proto3"; package shop;
import "common.proto"; import "google/protobuf/wrappers.proto";
enum Kind { UNKNOWN = 0; CARD = 1; }
message Other { int32 x = 1; }
message Order {
  uint64 id = 1; Money price = 2; repeated sint32 counts = 3; map<string, Money> extras = 4;
  oneof pay { Kind kind = 5; string iban = 6; }
  optional double discount = 7; google.protobuf.StringValue note = 8; bytes raw = 9;
}
"""


def compiled():
    from grpc_tools import protoc
    import importlib.resources

    folder = pathlib.Path(tempfile.mkdtemp())
    for name, text in (("common.proto", COMMON), ("order.proto", ORDER)):
        (folder / name).write_text(text)
    known = importlib.resources.files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{folder}", f"-I{known}", f"--python_out={folder}", "common.proto", "order.proto"]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed")
    sys.path.insert(0, str(folder))
    import order_pb2

    return order_pb2


def message(order_pb2, i):
    order = order_pb2.Order(id=2**64 - 1 - i, counts=[-i, i], raw=bytes([i % 256]))
    order.price.units = -i
    order.price.fixed_at.FromNanoseconds(i * 1000)
    order.extras["tax"].currency = "é"
    if i % 2:
        order.kind = order_pb2.CARD
        order.discount = i / 4
        order.note.value = ""
    else:
        order.iban = f"DE{i}"
    return order


def row(i):
    odd = i % 2 == 1
    money = {"currency": "", "units": -i, "fixed_at": i}
    return {
        "id": str(2**64 - 1 - i),
        "price": money,
        "counts": [-i, i],
        "extras": [["tax", {"currency": "é", "units": 0, "fixed_at": None}]],
        "kind": "CARD" if odd else None,
        "iban": None if odd else f"DE{i}",
        "discount": i / 4 if odd else None,
        "note": "" if odd else None,
        "raw": i % 256,
    }


def produce(bootstrap, registry, topic, count):
    from confluent_kafka import Producer
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    order_pb2 = compiled()
    client = SchemaRegistryClient({"url": registry})
    serializer = ProtobufSerializer(order_pb2.Order, client, {"use.deprecated.format": False})
    deserializer = ProtobufDeserializer(order_pb2.Order, {"use.deprecated.format": False}, client)
    producer = Producer({"bootstrap.servers": bootstrap})
    context = SerializationContext(topic, MessageField.VALUE)
    for i in range(int(count)):
        value = serializer(message(order_pb2, i), context)
        if deserializer(value, context) != message(order_pb2, i):
            raise SystemExit("the deserializer does not give back what was sent")
        producer.produce(topic, value)
    producer.flush()
    return [row(i) for i in range(int(count))]


def plain(value):
    if isinstance(value, datetime.datetime):
        return (value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
    if isinstance(value, (bytes, bytearray)):
        return value[0]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def arrow_rows(table):
    rows = [plain(each) for each in table.to_pylist()]
    for each in rows:
        each["id"] = str(each["id"])
    return sorted(rows, key=lambda each: int(each["id"]), reverse=True)


def read(uri, namespace, name):
    import importlib.util

    import duckdb
    from pyiceberg.catalog import load_catalog

    table = load_catalog("main", type="rest", uri=uri, warehouse="main").load_table((namespace, name))
    columns = list(row(0))
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute("SET TimeZone = 'UTC'")
    for extension in ("avro", "iceberg"):
        package = importlib.util.find_spec(f"duckdb_extension_{extension}")
        folder = pathlib.Path(package.submodule_search_locations[0])
        connection.execute(f"LOAD '{next(folder.rglob(f'{extension}.duckdb_extension'))}'")
    scan = f"SELECT {', '.join(columns)} FROM iceberg_scan('{table.metadata_location}')"
    return {
        "pyiceberg": arrow_rows(table.scan(selected_fields=tuple(columns)).to_arrow().select(columns)),
        "duckdb": arrow_rows(connection.execute(scan).to_arrow_table()),
    }


print("ANSWER " + json.dumps({"produce": produce, "read": read}[sys.argv[1]](*sys.argv[2:])))

"""Confluent's registry client and serializers for Python against a registry: registry_python.py <url>; prints ANSWER and one JSON object."""

import json
import sys

from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Metadata,
    MetadataProperties,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    ServerConfig,
    dual_schema_id_deserializer,
    header_schema_id_serializer,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

url = sys.argv[1]
client = SchemaRegistryClient({"url": url})
team = SchemaRegistryClient({"url": f"{url}/contexts/.team"})
answer = {}


def record(name, *fields, **more):
    return Schema(json.dumps({"type": "record", "name": name, "fields": list(fields)}), "AVRO", **more)


def error_of(call):
    try:
        return call()
    except SchemaRegistryError as error:
        return f"error {error.error_code}"


def value_of(topic, headers=None):
    return SerializationContext(topic, MessageField.VALUE, headers)


a = {"name": "a", "type": "long"}
b = {"name": "b", "type": "long", "default": 0}
first = record("R", a)
other = record("R", {"name": "a", "type": "string"})
registered = client.register_schema_full_response("s", first)
answer["register"] = [registered.schema_id, client.register_schema("s", first), client.lookup_schema("s", first).version]
answer["guid"] = json.loads(client.get_schema_by_guid(registered.guid).schema_str) == json.loads(first.schema_str)
answer["types"] = sorted(client.get_schema_types())
answer["uses"] = [client.get_subjects_by_schema_id(1), [each.version for each in client.get_schema_versions(1)]]
answer["incompatible"] = [client.test_compatibility("s", other), error_of(lambda: client.register_schema("s", other))]

owned = record("R", a, metadata=Metadata(None, MetadataProperties({"owner": "me"}), None))
client.register_schema("s", owned)
answer["metadata"] = client.get_latest_with_metadata("s", {"owner": "me"}).version
client.set_config("s", ServerConfig(compatibility=ConfigCompatibilityLevel.FULL))
answer["config"] = [client.get_config("s").compatibility_level, error_of(lambda: client.get_config("none"))]
client.update_mode("s", "READONLY")
answer["mode"] = [client.get_mode("s"), error_of(lambda: client.register_schema("s", record("R", a, b)))]
client.delete_mode("s")

client.register_schema("inner", record("In", a))
refers = record("Out", {"name": "r", "type": "In"}, references=[SchemaReference("In", "inner", 1)])
serialize = AvroSerializer(client, refers)
answer["avro"] = AvroDeserializer(client)(serialize({"r": {"a": 2**53 + 1}}, value_of("outer")), value_of("outer"))
answer["referenced by"] = [client.get_referenced_by("inner", 1), error_of(lambda: client.delete_subject("inner"))]

point = json.dumps({"$id": "point.json", "type": "object", "properties": {"x": {"type": "integer"}}})
client.register_schema("point", Schema(point, "JSON"))
shape = json.dumps({"title": "Shape", "type": "object", "properties": {"at": {"$ref": "point.json"}}})
shape = Schema(shape, "JSON", [SchemaReference("point.json", "point", 1)])
serialize = JSONSerializer(shape, client)
deserialize = JSONDeserializer(shape, schema_registry_client=client)
answer["json"] = deserialize(serialize({"at": {"x": 7}}, value_of("shapes")), value_of("shapes"))

in_header = value_of("guids", [])
payload = AvroSerializer(client, first, conf={"schema.id.serializer": header_schema_id_serializer})({"a": 2**53 + 1}, in_header)
from_header = AvroDeserializer(client, conf={"schema.id.deserializer": dual_schema_id_deserializer})
answer["header"] = [payload.hex(), from_header(payload, in_header)]

answer["context"] = [team.register_schema("s", first), team.get_subjects(), client.get_contexts()]
answer["delete"] = [
    team.delete_subject("s"),
    error_of(lambda: team.delete_subject("s")),
    team.delete_subject("s", True),
    error_of(lambda: team.delete_subject("s")),
]
print("ANSWER " + json.dumps(answer))

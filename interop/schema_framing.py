"""Records as the serializers of others frame them: schema_framing.py glue <endpoint> | confluent <url>; prints ANSWER and
one JSON object of base64 texts."""

import base64
import json
import sys

kind, url = sys.argv[1:]
avro = json.dumps({"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]})


def text(data):
    return base64.b64encode(data).decode()


def glue():
    import boto3
    from aws_schema_registry import KafkaSerializer, SchemaRegistryClient
    from aws_schema_registry.avro import AvroSchema
    from aws_schema_registry.jsonschema import JsonSchema

    keys = {"aws_access_key_id": "inlet", "aws_secret_access_key": "of-the-test"}
    service = boto3.client("glue", region_name="eu-west-1", endpoint_url=url, **keys)
    service.create_registry(RegistryName="ours")
    serializer = KafkaSerializer(SchemaRegistryClient(service, registry_name="ours"))
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    schema["properties"] = {"note": {"type": "string"}}
    return {
        "avro": text(serializer.serialize("framed-avro", ({"id": 2**53 + 1}, AvroSchema(avro)))),
        "json": text(serializer.serialize("framed-json", ({"note": "hello"}, JsonSchema(json.dumps(schema))))),
    }


def confluent():
    from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client = SchemaRegistryClient({"url": url})
    headers = []
    conf = {"schema.id.serializer": header_schema_id_serializer}
    serializer = AvroSerializer(client, avro, conf=conf)
    value = serializer({"id": 2**53 + 1}, SerializationContext("framed", MessageField.VALUE, headers))
    [(name, header)] = headers
    return {"value": text(value), "name": name, "header": text(header)}


print("ANSWER " + json.dumps(glue() if kind == "glue" else confluent()))

#!/usr/bin/env python3
"""The other side of the registry's tests: Confluent's own client, and fastavro by hand.

    registry_peer.py write URL FOLDER   registers, serializes; FOLDER/RECORD.HOW and what it should become, .expected
    registry_peer.py read URL FOLDER    reads FOLDER/RECORD.ours and what was registered for it

HOW: client (Confluent's serializer), hand (fastavro and struct), older (only the fields that have no default), newer (more
fields, other types, the symbols of enums turned round and one more). What is expected is fastavro's own schema resolution.
Records and their values are those of golden/make.py.
"""
import copy
import io
import json
import pathlib
import struct
import sys

import fastavro
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "golden"))
import make  # noqa: E402

PACKED = {name: value for name, value in make.RECORDS.items() if name != "Claim"} # those are never packed


def schema_text(record):
    return (make.SCHEMAS / f"{record}.avsc").read_text()


def older(schema):
    schema["fields"] = [field for field in schema["fields"] if "default" not in field]
    return schema


def turn_symbols(schema):
    if isinstance(schema, dict):
        if schema.get("type") == "enum":
            schema["symbols"] = ["BRAND_NEW"] + schema["symbols"][::-1]
        for value in schema.values():
            turn_symbols(value)
    elif isinstance(schema, list):
        for value in schema:
            turn_symbols(value)


def newer(schema):
    turn_symbols(schema)
    schema["fields"] = [
        {"name": "labels", "type": {"type": "map", "values": "string"}, "default": {}},
        {"name": "weight", "type": "double", "default": 1.5},
        {"name": "marks", "default": [], "type": {"type": "array", "items": {
            "type": "record", "name": "Mark", "fields": [{"name": "at", "type": ["null", "float"]}]}}},
    ] + schema["fields"]
    return schema


MORE = {"labels": {"a": "b", "": ""}, "weight": -2.25, "marks": [{"at": None}, {"at": 0.5}]}


def by_hand(number, schema, value):
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, number))
    fastavro.schemaless_writer(out, fastavro.parse_schema(copy.deepcopy(schema)), value)
    return out.getvalue()


def resolved(message, writer, record):
    """MESSAGE read by fastavro with our schema, as single-object encoding of it."""
    reader = json.loads(schema_text(record))
    value = fastavro.schemaless_reader(io.BytesIO(message[5:]), fastavro.parse_schema(copy.deepcopy(writer)),
                                       fastavro.parse_schema(copy.deepcopy(reader)))
    prefix = (make.HERE / f"{record}.avro").read_bytes()[:10]
    out = io.BytesIO()
    out.write(prefix)
    fastavro.schemaless_writer(out, fastavro.parse_schema(reader), value)
    return out.getvalue()


def write(client, folder):
    for record, value in PACKED.items():
        subject = f"peer-{record}-value"
        ours = json.loads(schema_text(record))
        context = SerializationContext(f"peer-{record}", MessageField.VALUE)
        messages = {"client": (AvroSerializer(client, schema_text(record))(value, context), ours)}
        client.set_compatibility(subject, "FULL_TRANSITIVE")
        number = client.register_schema(subject, Schema(json.dumps(ours), "AVRO"))
        messages["hand"] = (by_hand(number, ours, value), ours)
        for name, change in ("older", older), ("newer", newer):
            schema = change(copy.deepcopy(ours))
            number = client.register_schema(subject, Schema(json.dumps(schema), "AVRO"))
            messages[name] = (by_hand(number, schema, {**MORE, **value}), schema)
        for name, (message, schema) in messages.items():
            (folder / f"{record}.{name}").write_bytes(message)
            (folder / f"{record}.{name}.expected").write_bytes(resolved(message, schema, record))
    client.register_schema("stubborn-value", Schema(json.dumps({
        "type": "record", "name": "Job", "namespace": "shoal",
        "fields": [{"name": "id", "type": "long"}]}), "AVRO"))
    client.set_compatibility("stubborn-value", "FULL_TRANSITIVE")
    client.register_schema("backward-value", Schema(schema_text("Job"), "AVRO"))
    client.set_compatibility("backward-value", "BACKWARD")


def read(client, folder):
    wrong = 0
    for record, value in PACKED.items():
        message = (folder / f"{record}.ours").read_bytes()
        magic, number = struct.unpack(">bI", message[:5])
        subject = f"ours-{record}-value"
        text = client.get_schema(number).schema_str
        by_client = AvroDeserializer(client)(message, SerializationContext(f"ours-{record}", MessageField.VALUE))
        hand = fastavro.schemaless_reader(io.BytesIO(message[5:]), fastavro.parse_schema(json.loads(text)))
        for what, got, wanted in (
                ("magic byte", magic, 0), ("by Confluent's client", by_client, value), ("by hand", hand, value),
                ("text", text, schema_text(record).rstrip("\n")),
                ("versions", client.get_versions(subject), [1]),
                ("level", client.get_compatibility(subject), "FULL_TRANSITIVE")):
            if got != wanted:
                print(f"{record}: {what}: {got!r} instead of {wanted!r}", file=sys.stderr)
                wrong += 1
    level = client.get_compatibility("backward-value")
    if level != "BACKWARD":
        print(f"the level that somebody set is {level} now", file=sys.stderr)
        wrong += 1
    return wrong


def main():
    verb, url, folder = sys.argv[1:]
    client = SchemaRegistryClient({"url": url})
    if verb == "write":
        write(client, pathlib.Path(folder))
        return 0
    return 1 if read(client, pathlib.Path(folder)) else 0


if __name__ == "__main__":
    sys.exit(main())

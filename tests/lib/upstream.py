"""An upstream service: somebody else's Kafka client and Avro, knowing shoal by its schemas alone.

    upstream.py submit BROKER/PREFIX JSON [REGISTRY]    a job: the fields of Job.avsc; TRACEPARENT goes along as a header
    upstream.py follow BROKER/PREFIX JOB [REGISTRY]     prints each status until the job has ended, the last one as JSON
    upstream.py garbage BROKER/PREFIX TOPIC TEXT [KEY]  with a header: sender=upstream
    upstream.py letters BROKER/PREFIX COUNT             prints the first COUNT records of the dead topic: key, headers, value
    upstream.py partitions BROKER/PREFIX TOPIC COUNT    as somebody does with Kafka's own tools: the topic gets that many
    upstream.py setting BROKER/PREFIX TOPIC NAME VALUE  the same: a setting of the topic
    upstream.py forge BROKER/PREFIX TOPIC RECORD KEY JSON    a record of ours (Event, Claim …) that isn't from us, in each partition
    upstream.py copy BROKER/PREFIX FROM TO [KEY=VALUE…] the records of FROM, headers and all, to TO. KEY: of these ("" all); VALUE: text
                                                        that is put behind each value
    upstream.py hold BROKER/PREFIX TOPIC                a transaction on TOPIC, from "open" until the input ends
    upstream.py pure BROKER/PREFIX                      how many records events, status and dead have, by a client that reads no lz4
    upstream.py hostile BROKER/PREFIX                   what no program of ours sends: to each topic and partition, prints how many

SHOAL_JOB_KEY: a file with a key a line, of which the first signs what is sent. SHOAL_KAFKA_CONFIG: a file of properties.
"""
import hmac
import io
import json
import os
import pathlib
import struct
import sys
import time

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

SCHEMAS = pathlib.Path(__file__).parent.parent.parent / "schemas"
SECONDS = 60
ENDED = {"SUCCEEDED", "PARTIAL", "FAILED", "CANCELLED"}


def config(broker, **more):
    path = os.environ.get("SHOAL_KAFKA_CONFIG")
    lines = pathlib.Path(path).read_text().splitlines() if path else []
    return {"bootstrap.servers": broker, "log_level": 3, **dict(line.split("=", 1) for line in lines), **more}


def schema(record):
    return json.loads((SCHEMAS / f"{record}.avsc").read_text())


def fingerprint(record):
    form = fastavro.schema.to_parsing_canonical_form(schema(record))
    return bytes.fromhex(fastavro.schema.fingerprint(form, "CRC-64-AVRO"))


def pack(record, value, topic, registry):
    if registry:
        serializer = AvroSerializer(SchemaRegistryClient({"url": registry}), json.dumps(schema(record)))
        return serializer(value, SerializationContext(topic, MessageField.VALUE))
    out = io.BytesIO()
    out.write(b"\xc3\x01" + fingerprint(record))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema(record)), value)
    return out.getvalue()


def unpack(record, message, topic, registry):
    if registry:
        return AvroDeserializer(SchemaRegistryClient({"url": registry}))(message, SerializationContext(topic, MessageField.VALUE))
    if message[:10] != b"\xc3\x01" + fingerprint(record):
        raise SystemExit(f"not single-object encoding of {record}: {message[:10]}")
    return fastavro.schemaless_reader(io.BytesIO(message[10:]), fastavro.parse_schema(schema(record)))


def sign(topic, key, value):
    """The headers of a record that is signed: its topic, its key's length, its key, its value."""
    if not os.environ.get("SHOAL_JOB_KEY"):
        return []
    secret = pathlib.Path(os.environ["SHOAL_JOB_KEY"]).read_text().split()[0].encode()
    signed = b"%s\0%d\0%s%s" % (topic.encode(), len(key), key, value)
    return [("shoal-signature", "sha256=" + hmac.new(secret, signed, "sha256").hexdigest())]


def send(broker, topic, key, value, headers=None):
    failed = []
    key = key.encode() if isinstance(key, str) else key
    headers = (headers or []) + sign(topic, key, value)
    producer = Producer(config(broker, acks="all"))
    producer.produce(topic, value=value, key=key, headers=headers, on_delivery=lambda err, _: err and failed.append(err))
    producer.flush(SECONDS)
    if failed:
        raise SystemExit(f"not delivered: {failed}")


def read(broker, topic):
    """All records of TOPIC, from the start, for ever; gives up after SECONDS without one."""
    consumer = Consumer(config(broker, **{"group.id": "upstream", "enable.auto.commit": False}))
    partitions = consumer.list_topics(topic, SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        message = consumer.poll(0.5)
        if message is not None and not message.error():
            end = time.monotonic() + SECONDS
            yield message
    raise SystemExit(f"nothing more in {topic} for {SECONDS} s")


def submit(broker, prefix, text, registry=None):
    job = {"submitted": int(time.time() * 1000), **json.loads(text)}
    trace = os.environ.get("TRACEPARENT")
    topic = f"{prefix}.jobs"
    send(broker, topic, job["id"], pack("Job", job, topic, registry), [("traceparent", trace.encode())] if trace else None)


def follow(broker, prefix, job, registry=None):
    topic = f"{prefix}.status"
    for message in read(broker, topic):
        if message.key() != job.encode():
            continue
        status = unpack("JobStatus", message.value(), topic, registry)
        if status["state"] in ENDED:
            print(json.dumps(status))
            return
        print(status["state"], file=sys.stderr)


def garbage(broker, prefix, topic, text, key="garbage"):
    send(broker, f"{prefix}.{topic}", key, text.encode(), [("sender", b"upstream")])


def letters(broker, prefix, count):
    for message in read(broker, f"{prefix}.dead"):
        headers = {name: value.decode() for name, value in message.headers() or []}
        print(json.dumps({"key": message.key().decode(), "headers": headers, "value": (message.value() or b"").hex()}))
        count = int(count) - 1
        if count == 0:
            return


def partitions(broker, prefix, topic, count):
    admin = AdminClient(config(broker))
    for outcome in admin.create_partitions([NewPartitions(f"{prefix}.{topic}", int(count))]).values():
        outcome.result(SECONDS)


def setting(broker, prefix, topic, name, value):
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, f"{prefix}.{topic}", incremental_configs=[entry])
    admin = AdminClient(config(broker))
    for outcome in admin.incremental_alter_configs([resource]).values():
        outcome.result(SECONDS)


def forge(broker, prefix, topic, record, key, text):
    topic = f"{prefix}.{topic}"
    fields = {name: value.encode() if name in ("atoms", "digest") and isinstance(value, str) else value for name, value in json.loads(text).items()}
    value = pack(record, fields, topic, None)
    producer = Producer(config(broker, acks="all"))
    for number in producer.list_topics(topic, SECONDS).topics[topic].partitions:
        producer.produce(topic, value=value, key=key, partition=number)
    if producer.flush(SECONDS):
        raise SystemExit("not delivered")


def copy(broker, prefix, source, target, change="="):
    only, behind = change.split("=", 1)
    consumer = Consumer(config(broker, **{"group.id": "upstream", "enable.auto.commit": False}))
    topic = f"{prefix}.{source}"
    places = [TopicPartition(topic, number, 0) for number in consumer.list_topics(topic, SECONDS).topics[topic].partitions]
    left = sum(consumer.get_watermark_offsets(place, SECONDS)[1] for place in places)
    consumer.assign(places)
    producer = Producer(config(broker, acks="all"))
    while left > 0:
        message = consumer.poll(SECONDS)
        left -= 1
        if not only or message.key() == only.encode():
            producer.produce(f"{prefix}.{target}", value=message.value() + behind.encode(), key=message.key(), headers=message.headers())
    if producer.flush(SECONDS):
        raise SystemExit("not delivered")


def hostile_values(record):
    """What isn't a message of RECORD, and what nearly is."""
    head = b"\xc3\x01" + fingerprint(record)
    fields = {"kind": {"Claim": "CLAIM", "Event": "STARTED", "Control": "CANCEL", "Shard": "MAP"}.get(record), "job_id": "x", "writer": "w",
              "time": 1, "generation": 1, "index": 0, "attempt": 1, "starts": 1, "atom_count": 1, "digest": b"", "state": "RUNNING", "updated": 1,
              "id": "x", "submitted": 1, "image": "x", "command": [], "results": "/x", **({"atoms": b""} if record == "Shard" else {})}
    whole = pack(record, fields, "", None)
    huge, negative, endless = b"\xfe" + b"\xff" * 8 + b"\x01", b"\x01", b"\xff" * 20
    yield from (None, b"", b"\xc3", b"\xc3\x01", head[:-1], head, b"\0\0\0\0\1", b"\0\xff\xff\xff\xff", bytes(2_000_000), b"\xff" * 4096)
    for number in (huge, negative, endless):
        yield from (head + number, head + b"\0" + number, head + b"\2" + number, head + b"\2\2x" + number, head + b"\2\2x\2" + number)
    for cut in range(10, len(whole)):
        yield whole[:cut]
    for at in range(10, len(whole)):
        for byte in (0x00, 0x01, 0x7f, 0x80, 0xff):
            yield whole[:at] + bytes([byte]) + whole[at + 1:]
    yield whole + b"\0"


HOSTILE_KEYS = [None, b"", b"/", b"job/", b"job//1/0/1", b"\0", b"x\0y", b"\xff\xfe", b"../../x", b"tick", b"k" * 100_000, b"job/map/1/99999999999/1",
                b"job/map/-1/0/1", b"job/map/1/0/4294967295", b"job/reduce/0/0/0", b"job/map/1/0/1/", b"/map/1/0/1", b"member/merger/x settings",
                b"group/merger/0", b"group/merger/4294967296", b"queue/default", b"queue/\x1b[2J", b"job/x"]


def hostile(broker, prefix):
    producer = Producer(config(broker, acks="all", **{"message.max.bytes": 9_500_000, "linger.ms": 20}))
    records = {"jobs": "Job", "shards": "Shard", "claims": "Claim", "leases": "Claim", "events": "Event", "control": "Control", "status": "JobStatus"}
    sent = 0
    for topic, record in records.items():
        values = list(hostile_values(record))
        compacted = topic in ("claims", "leases", "status")
        partitions = list(producer.list_topics(f"{prefix}.{topic}", SECONDS).topics[f"{prefix}.{topic}"].partitions)
        for number, value in enumerate(values):
            key = HOSTILE_KEYS[number % len(HOSTILE_KEYS)]
            for partition in partitions if number < 200 else [0]:
                producer.produce(f"{prefix}.{topic}", value=value, key=b"x" if compacted and key is None else key, partition=partition)
                producer.poll(0)
                sent += 1
        for key in HOSTILE_KEYS:
            producer.produce(f"{prefix}.{topic}", value=values[-1][:-1], key=b"x" if compacted and key is None else key, partition=0)
            sent += 1
    if producer.flush(SECONDS):
        raise SystemExit("not delivered")
    print(sent)


def hold(broker, prefix, topic):
    """Somebody's transaction with a record of theirs in it: it stays open until our input ends, and is given up then."""
    producer = Producer(config(broker, **{"transactional.id": f"hold-{prefix}"}))
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(f"{prefix}.{topic}", b"held", key=b"held", partition=0)
    producer.flush(SECONDS)
    print("open", flush=True)
    sys.stdin.read()
    producer.abort_transaction(SECONDS)


def pure(broker, prefix):
    """Reads what others read by a client without lz4, zstd and snappy; prints how many records each topic has."""
    import kafka # only here: the other actions don't wait for it
    for topic in ("events", "status", "dead"):
        reader = kafka.KafkaConsumer(bootstrap_servers=broker, consumer_timeout_ms=10000)
        partitions = [kafka.TopicPartition(f"{prefix}.{topic}", number) for number in reader.partitions_for_topic(f"{prefix}.{topic}")]
        ends = reader.end_offsets(partitions)
        reader.assign(partitions)
        reader.seek_to_beginning()
        records = 0
        while any(reader.position(partition) < ends[partition] for partition in partitions):
            records += sum(len(batch) for batch in reader.poll(1000).values())
        print(topic, records)


def main():
    actions = {"hostile": hostile, "submit": submit, "follow": follow, "garbage": garbage, "letters": letters, "partitions": partitions, "forge": forge,
               "copy": copy, "pure": pure, "hold": hold, "setting": setting}
    if len(sys.argv) < 3 or sys.argv[1] not in actions:
        raise SystemExit(__doc__)
    broker, prefix = sys.argv[2].split("/")
    actions[sys.argv[1]](broker, prefix, *sys.argv[3:])


if __name__ == "__main__":
    main()

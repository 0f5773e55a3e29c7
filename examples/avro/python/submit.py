"""Submits a job by Avro and follows its status: submit.py SCHEMAS BROKERS PREFIX ID INPUT RESULTS"""

import io
import json
import pathlib
import sys
import time

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

ENDED = {"SUCCEEDED", "PARTIAL", "FAILED", "CONFLICT", "CANCELLED"}


class Codec:
    """A record in Avro's single-object encoding: C3 01, the schema's fingerprint, the fields."""

    def __init__(self, folder, name):
        schema = json.loads(pathlib.Path(folder, f"{name}.avsc").read_text())
        self.schema = fastavro.parse_schema(schema)
        canonical = fastavro.schema.to_parsing_canonical_form(schema)
        # fastavro prints the bytes in the order in which they are sent.
        self.header = b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))

    def encode(self, record):
        out = io.BytesIO(self.header)
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, self.schema, record)
        return out.getvalue()

    def decode(self, value):
        """The record, or None for one of another version of the schema."""
        if not value.startswith(self.header):
            return None
        return fastavro.schemaless_reader(io.BytesIO(value[len(self.header):]), self.schema)


def submit(brokers, prefix, job, codec):
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True})
    refused = []
    producer.produce(f"{prefix}.jobs", key=job["id"], value=codec.encode(job),
                     on_delivery=lambda error, _: error and refused.append(error))
    producer.flush()
    if refused:
        raise SystemExit(f"not submitted: {refused[0]}")


def follow(brokers, prefix, job_id, codec):
    """Each status of the job, until it has ended."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "unused", "enable.auto.commit": False})
    # No group: every sender reads the whole topic, in which the last status of each job stays.
    consumer.assign([TopicPartition(f"{prefix}.status", 0, 0)])
    while True:
        message = consumer.poll(1)
        if message is None or message.error() or message.key() != job_id.encode() or message.value() is None:
            continue
        status = codec.decode(message.value())
        if status:
            yield status
            if status["state"] in ENDED:
                return


schemas, brokers, prefix, job_id, source, results = sys.argv[1:]
job = {
    "id": job_id,
    "submitted": int(time.time() * 1000),
    "image": "busybox",
    "command": ["sh", "-c", "cat /in/*"],
    "volumes": [{"source": source, "path": "/in"}],
    "glob": "*.txt",
    "batch_size": 2,
    "results": results,
}
for _ in range(2):  # as after an answer that was lost: it is one job
    submit(brokers, prefix, job, Codec(schemas, "Job"))
for status in follow(brokers, prefix, job_id, Codec(schemas, "JobStatus")):
    print(status["state"], status["succeeded"], flush=True)

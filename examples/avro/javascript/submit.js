// Submits a job by Avro and follows its status: submit.js SCHEMAS BROKERS PREFIX ID INPUT RESULTS
import avro from "avsc";
import { Kafka, logLevel } from "kafkajs";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ENDED = new Set(["SUCCEEDED", "PARTIAL", "FAILED", "CONFLICT", "CANCELLED"]);

// CRC-64-AVRO of the schema's canonical form, as the Avro specification has it: avsc has MD5 alone.
function fingerprint(type) {
  const empty = 0xc15d213aa4d7a795n;
  let crc = empty;
  for (const byte of Buffer.from(JSON.stringify(type.schema()))) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? empty : 0n);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(crc);
  return bytes;
}

// A record in Avro's single-object encoding: C3 01, the schema's fingerprint, the fields.
function codec(folder, name) {
  const text = readFileSync(join(folder, `${name}.avsc`));
  const type = avro.Type.forSchema(JSON.parse(text));
  const header = Buffer.concat([Buffer.from([0xc3, 0x01]), fingerprint(type)]);
  return {
    encode: (record) => Buffer.concat([header, type.toBuffer(type.clone(record))]),
    // undefined: one of another version of the schema
    decode: (value) =>
      value.subarray(0, 10).equals(header) ? type.fromBuffer(value.subarray(10)) : undefined,
  };
}

async function submit(kafka, prefix, job, jobs) {
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  await producer.send({
    topic: `${prefix}.jobs`,
    messages: [{ key: job.id, value: jobs.encode(job) }],
  });
  await producer.disconnect();
}

async function follow(kafka, prefix, id, statuses) {
  // kafkajs reads by groups only: one of our own, from the beginning, in which nothing is committed.
  const consumer = kafka.consumer({ groupId: `follow-${id}-${process.pid}` });
  await consumer.connect();
  await consumer.subscribe({ topic: `${prefix}.status`, fromBeginning: true });
  await new Promise((resolve) =>
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        if (message.key?.toString() !== id || message.value === null) return;
        const record = statuses.decode(message.value);
        if (record === undefined) return;
        console.log(`${record.state} ${record.succeeded}`);
        if (ENDED.has(record.state)) resolve();
      },
    }),
  );
  await consumer.disconnect();
}

const [schemas, brokers, prefix, id, source, results] = process.argv.slice(2);
const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.ERROR });
const job = {
  id,
  submitted: Date.now(),
  image: "busybox",
  command: ["sh", "-c", "cat /in/*"],
  volumes: [{ source, path: "/in" }],
  glob: "*.txt",
  batch_size: 2,
  results,
};
// Twice, as after an answer that was lost: it is one job.
for (let i = 0; i < 2; i++) await submit(kafka, prefix, job, codec(schemas, "Job"));
await follow(kafka, prefix, id, codec(schemas, "JobStatus"));

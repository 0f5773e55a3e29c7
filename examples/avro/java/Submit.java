import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Submits a job by Avro and follows its status: Submit SCHEMAS BROKERS PREFIX ID INPUT RESULTS */
public class Submit {
  static final Set<String> ENDED =
      Set.of("SUCCEEDED", "PARTIAL", "FAILED", "CONFLICT", "CANCELLED");

  static Schema schema(String folder, String name) throws Exception {
    return new Schema.Parser().parse(Path.of(folder, name + ".avsc").toFile());
  }

  static GenericRecord job(Schema schema, String id, String input, String results) {
    Schema volume = schema.getField("volumes").schema().getElementType();
    // The builder sets what isn't named here to the schema's defaults.
    return new GenericRecordBuilder(schema)
        .set("id", id)
        .set("submitted", System.currentTimeMillis())
        .set("image", "busybox")
        .set("command", List.of("sh", "-c", "cat /in/*"))
        .set("volumes", List.of(
            new GenericRecordBuilder(volume).set("source", input).set("path", "/in").build()))
        .set("glob", "*.txt")
        .set("batch_size", 2L)
        .set("results", results)
        .build();
  }

  static void submit(String brokers, String prefix, GenericRecord job) throws Exception {
    ByteBuffer value =
        new BinaryMessageEncoder<GenericRecord>(GenericData.get(), job.getSchema()).encode(job);
    byte[] bytes = new byte[value.remaining()];
    value.get(bytes);
    try (var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", brokers),
        new StringSerializer(), new ByteArraySerializer())) {
      producer.send(new ProducerRecord<>(prefix + ".jobs", job.get("id").toString(), bytes)).get();
    }
  }

  static void follow(String brokers, String prefix, String id, Schema schema) throws Exception {
    var decoder = new BinaryMessageDecoder<GenericRecord>(GenericData.get(), schema);
    try (var consumer = new KafkaConsumer<>(Map.<String, Object>of("bootstrap.servers", brokers),
        new StringDeserializer(), new ByteArrayDeserializer())) {
      // No group: every sender reads the whole topic, in which the last status of each job stays.
      var partition = new TopicPartition(prefix + ".status", 0);
      consumer.assign(List.of(partition));
      consumer.seekToBeginning(List.of(partition));
      while (true) {
        for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          if (!id.equals(record.key()) || record.value() == null) {
            continue;
          }
          GenericRecord status = decoder.decode(record.value());
          System.out.println(status.get("state") + " " + status.get("succeeded"));
          if (ENDED.contains(status.get("state").toString())) {
            return;
          }
        }
      }
    }
  }

  public static void main(String[] args) throws Exception {
    GenericRecord job = job(schema(args[0], "Job"), args[3], args[4], args[5]);
    submit(args[1], args[2], job);
    submit(args[1], args[2], job); // as after an answer that was lost: it is one job
    follow(args[1], args[2], args[3], schema(args[0], "JobStatus"));
  }
}

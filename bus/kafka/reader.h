/* reader.h — one partition read by offset, up to an end that is known. */
#ifndef SHOAL_BUS_KAFKA_READER_H
#define SHOAL_BUS_KAFKA_READER_H

#include "bus/kafka/producer.h"

#include "schemas/wire.h"

#include <librdkafka/rdkafka.h>

struct cursor
{
  struct kafka_reader *reader;
  int topic;
  int32_t partition;
  rd_kafka_queue_t *queue;
  int64_t next;         /* offset of what is read next, as far as known */
  int64_t end;          /* what was the end when it was looked for */
  struct bytes payload; /* of the record read last, in single-object encoding; until the next one */
  struct buffer unpacked;
  bool denied;         /* the brokers said last that we mayn't read it */
  int64_t stuck_until; /* boot ms: a record can't be read before the schema registry is back */
  struct error
      refused;  /* set: the record read last isn't signed as it must be, and `payload` is empty */
  int64_t skew; /* of claims: the broker's clock minus ours, by our own records, ms */
};

/* A consumer handle: a partition is read once by each. */
struct kafka_reader
{
  struct kafka_producer *producer; /* whose connections are asked */
  rd_kafka_t *handle;
  rd_kafka_topic_t *topics[TOPICS_MAX];
  bool silent; /* set by the owner: what mayn't be read is no news for the log */
};

enum
{
  FROM_START = 0,
  FROM_END = -1,
};

struct kafka_reader *kafka_reader_open (struct kafka_producer *producer, const char *group,
                                        struct error *err);
void kafka_reader_close (struct kafka_reader *reader);

/* Starts reading PARTITION at offset FROM (at the oldest there is when that is gone). */
int cursor_open (struct cursor *cursor, struct kafka_reader *reader, int topic, int32_t partition,
                 int64_t from, struct error *err);
void cursor_close (struct cursor *cursor);
bool cursor_is_open (const struct cursor *cursor);

/* The next record: 1, the caller destroys it; 0 when there is none now. What it holds is the
 * cursor's `payload`. */
int cursor_next (struct cursor *cursor, rd_kafka_message_t **message);

/* As cursor_next, but waits until the end that was last looked for is reached: 0 means that nothing
 * is left before it. */
int cursor_next_before_end (struct cursor *cursor, rd_kafka_message_t **message, struct error *err);

/* Looks where the partition ends now. */
int cursor_look_for_end (struct cursor *cursor, struct error *err);

/* Reads MESSAGE again, a little later. */
void cursor_step_back (struct cursor *cursor, const rd_kafka_message_t *message);

static inline bool
cursor_is_at_end (const struct cursor *cursor)
{
  return cursor->next >= cursor->end;
}

/* One record, read by itself. Its payload is `cursor.payload`. */
struct kafka_record
{
  struct cursor cursor;
  struct kafka_reader
      *own; /* of a topic that the tables read: a partition is read once by each reader */
  rd_kafka_message_t *message;
};

/* Reads the record at OFFSET into zeroed RECORD: 1, or 0 when it is gone. */
int record_read (struct kafka_record *record, struct kafka_reader *reader, int topic,
                 int32_t partition, int64_t offset, struct error *err);
void record_release (struct kafka_record *record);
#define auto_record AUTO (record_release)

/* Fills in what the reader's group committed. */
rd_kafka_resp_err_t kafka_committed (struct kafka_reader *reader,
                                     rd_kafka_topic_partition_list_t *list);

/* Commits LIST for the reader's group, and waits for the brokers' word for up to WAIT_MS; 0:
 * doesn't. */
rd_kafka_resp_err_t kafka_commit (struct kafka_reader *reader,
                                  rd_kafka_topic_partition_list_t *list, int wait_ms);

/* The record's key as a string, "" when there is none. The caller frees. */
char *message_key (const rd_kafka_message_t *message);
int64_t message_time (const rd_kafka_message_t *message);

static inline void
auto_message_ (rd_kafka_message_t **message)
{
  if (*message != NULL)
    rd_kafka_message_destroy (*message);
}
#define auto_message AUTO (auto_message_)

#endif

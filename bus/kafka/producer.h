/* producer.h — records out, delivery reports back. */
#ifndef SHOAL_BUS_KAFKA_PRODUCER_H
#define SHOAL_BUS_KAFKA_PRODUCER_H

#include "bus/kafka/client.h"
#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"

#include <librdkafka/rdkafka.h>

/* What became of some records. Filled while the producer is polled, which may be long after those
 * who sent them have given up waiting: so it lives on the heap, or as long as the bus. */
struct delivery_report
{
  int pending; /* records that aren't acknowledged yet */
  int failed;
  rd_kafka_resp_err_t why;
  int topic;      /* of the last one that failed */
  int64_t offset; /* of the last one */
  bool left;      /* nobody asks any more: goes with the last word on a record */
};

struct kafka_producer
{
  struct kafka_client *client;
  rd_kafka_t *handle;
  rd_kafka_queue_t *reports; /* its main queue */
  rd_kafka_topic_t *outgoing[TOPICS_MAX];
  unsigned int epoch;               /* how many there were before this one */
  bool unwritable;                  /* it was given up because we mayn't write to any topic */
  struct delivery_report published; /* shards and events between two flushes */
  struct delivery_report quiet;     /* records that nobody waits for */
};

int producer_open (struct kafka_producer *producer, struct error *err);

/* WAIT_MS: for the last records to be acknowledged. */
void producer_close (struct kafka_producer *producer, int wait_ms);

/* Replaces a producer that librdkafka has given up: the epoch is one higher then, and what was on
 * its way under a lower one counts as not sent. */
void kafka_renew_producer (struct kafka_producer *producer);

struct delivery_report *delivery_report_new (void);

/* Nobody asks any more. NULL is fine. */
void delivery_report_leave (struct delivery_report *report);

static inline void
auto_delivery_report_ (struct delivery_report **report)
{
  delivery_report_leave (*report);
}
#define auto_delivery_report AUTO (auto_delivery_report_)

/* Hands a record over. Waits while the local queue is full, but not for as long as brokers are
 * away. */
int kafka_send (struct kafka_producer *producer, int topic, int32_t partition, const char *key,
                const struct buffer *payload, struct delivery_report *report, struct error *err);

/* The same without a frame; PAYLOAD without data is a tombstone. */
int kafka_send_as_is (struct kafka_producer *producer, int topic, int32_t partition,
                      const char *key, struct bytes payload, struct delivery_report *report,
                      struct error *err);

/* Waits for REPORT and resets it: 0, or -1. What took too long is still on its way. */
int kafka_await (struct kafka_producer *producer, struct delivery_report *report, const char *what,
                 struct error *err);

/* Calls librdkafka's callbacks. */
void kafka_serve (struct kafka_producer *producer, int timeout_ms);

#endif

/* What is known of topics, and what brokers say of them. */
#include "bus/kafka/metadata.h"
#include "common/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

/* An answer that lacks a topic doesn't make its partitions none: the hash of a job would find
 * another one, or there would be nothing to divide by. */
static void
an_answer_that_lacks_a_topic_changes_nothing (void **state)
{
  (void) state;
  struct kafka_topics topics = { .count = TOPICS };
  rd_kafka_metadata_topic_t told[TOPICS] = { 0 };
  struct rd_kafka_metadata metadata = { .topic_cnt = TOPICS, .topics = told };
  for (int i = 0; i < TOPICS; i++)
    {
      topics.names[i] = kafka_topic_name ("test", (enum topic) i);
      told[i].topic = topics.names[i];
      told[i].partition_cnt = 8;
    }
  assert_int_equal (metadata_note_partitions (&topics, &metadata), -1);
  assert_int_equal (topics.partitions[TOPIC_EVENTS], 8);
  told[TOPIC_EVENTS].err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  assert_int_equal (metadata_note_partitions (&topics, &metadata), TOPIC_EVENTS);
  assert_int_equal (topics.partitions[TOPIC_EVENTS], 8);
  metadata.topic_cnt = TOPIC_EVENTS;
  assert_int_equal (metadata_note_partitions (&topics, &metadata), TOPIC_EVENTS);
  assert_int_equal (topics.partitions[TOPIC_EVENTS], 8);
  told[TOPIC_EVENTS] =
      (rd_kafka_metadata_topic_t){ .topic = topics.names[TOPIC_EVENTS], .partition_cnt = 13 };
  metadata.topic_cnt = TOPICS;
  assert_int_equal (metadata_note_partitions (&topics, &metadata), -1);
  assert_int_equal (topics.partitions[TOPIC_EVENTS], 13);
  for (int i = 0; i < TOPICS; i++)
    free (topics.names[i]);
}

/* Jobs stay where they are whatever partitions are added. */
static void
jobs_stay_in_their_partition (void **state)
{
  (void) state;
  struct kafka_topics topics = { .partitions = { [TOPIC_EVENTS] = 8, [TOPIC_STATUS] = 1 } };
  int32_t before = kafka_partition_of_job (&topics, TOPIC_EVENTS, "job-12");
  topics.spread = 8;
  topics.partitions[TOPIC_EVENTS] = 13;
  assert_int_equal (kafka_partition_of_job (&topics, TOPIC_EVENTS, "job-12"), before);
  assert_int_equal (kafka_partition_of_job (&topics, TOPIC_STATUS, "job-12"), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (an_answer_that_lacks_a_topic_changes_nothing),
    cmocka_unit_test (jobs_stay_in_their_partition),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}

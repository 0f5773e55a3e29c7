/* choice.h — which message is claimed next.
 *
 * A worker stays at a partition for a while, so that its records there travel together. Workers
 * that have met each other in a queue choose different messages by their names' hashes; one that
 * has met nobody takes the oldest.
 */
#ifndef SHOAL_BUS_KAFKA_CHOICE_H
#define SHOAL_BUS_KAFKA_CHOICE_H

#include "bus/kafka/work.h"

/* A job whose shards are left to others for a while. */
struct backed_off
{
  char *job_id;
  int64_t until; /* boot ms */
};

struct kafka_choice
{
  struct kafka_work *work;
  unsigned int turns; /* shards that were looked for */
  uint64_t seed;      /* of the writer's name; 0: not made yet */
  struct backed_off *backed_off;
  size_t backed_off_count;
};

/* The open message of QUEUE that is to be claimed next, of job JOB_ID unless that is NULL; NULL:
 * there is none. Shards that are run no more, because their job has ended, are settled by the way.
 */
struct message *choice_next (struct kafka_choice *choice, enum bus_queue queue, const char *job_id);

/* Leaves the shards of a job to others for MS. */
void choice_back_off (struct kafka_choice *choice, const char *job_id, int64_t ms);

void choice_release (struct kafka_choice *choice);

#endif

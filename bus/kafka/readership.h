/* readership.h — which partitions of a queue this worker reads now: its share, what it holds, and
 * what it has opened for want of work.
 *
 * Claims decide who runs what, so that a wrong answer costs time and nothing else (docs/claims.md,
 * "Who reads what").
 */
#ifndef SHOAL_BUS_KAFKA_READERSHIP_H
#define SHOAL_BUS_KAFKA_READERSHIP_H

#include "bus/kafka/work.h"

/* A partition that was opened for want of work, and had none. */
struct barren
{
  int64_t end;   /* is left out as long as it ends there … */
  int64_t until; /* … and before this, boot ms */
};

/* Of one queue. All zero at first, but for the first three. */
struct readership
{
  struct kafka_work *work;
  struct partition_set *set;
  struct kafka_queue *queue;
  int32_t count; /* partitions, when the arrays were made */
  bool *share;   /* which of them are ours to read */
  struct barren *barren;
  int64_t tended;       /* boot ms */
  int64_t hungry_since; /* boot ms at which there was nothing to take; 0: there was something */
  int64_t asked;        /* boot ms at which the brokers were asked where there is work */
  int64_t pause_ms;     /* from then to the next time */
};

/* Opens what is ours to read and isn't open, closes what isn't any more and can be: once a second.
 * The leases must have been read. */
int readership_tend (struct readership *readership, struct error *err);

/* There was something to take, or nothing is wanted. */
void readership_feed (struct readership *readership);

/* There was nothing to take: now and then the brokers are asked where there is, and one partition
 * is opened. That it can't be is no error; it is tried again. */
void readership_seek (struct readership *readership);

void readership_release (struct readership *readership);

#endif
